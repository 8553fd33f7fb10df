"""The grid of a sweep: a YAML file whose lists multiply, and single cells beside them.

    base: {max_new_tokens: 500}                       # in every cell
    grid:
      temperature: [0.1, 0.4, 0.7, 1.0]
      truncation: [{top_p: 0.95}, {min_p: 0.05}, none]  # a name of one's own: maps of settings, or `none`
      repetition_penalty: [1, 1.05, 1.15]
    cells:
      - {temperature: 0}
    marks:                                            # settings to be found again; the first is the default
      Shisa's card: {temperature: 0.7, top_p: 0.95, repetition_penalty: 1.05}

Every cell is a whole setting: what it does not name is off, whatever a model's `generation_config.json` says. Two cells
that mean the same are one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.generate.sampler import Sampler

NONE = "none"
SHORT = {
    "temperature": "T",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "rep",
    "frequency_penalty": "freq",
    "presence_penalty": "pres",
    "max_new_tokens": "max",
}
"""Settings in the order in which a cell's name has them."""
ALIASES = {"max_tokens": "max_new_tokens"}
MOST_CELLS = 2000
_KEYS = ("base", "grid", "cells", "marks")


@dataclass(frozen=True)
class Cell:
    """One setting.

    Args:
        name: `T 0.7, top_p 0.95, rep 1.05`; unique in the grid.
        sampler: Everything that it sets.
        marks: What it is called besides: `Shisa's card`.
    """

    name: str
    sampler: Sampler
    marks: tuple[str, ...] = ()

    @property
    def greedy(self) -> bool:
        """True if the same prompt always gets the same answer."""
        return self.sampler.greedy


@dataclass(frozen=True)
class Grid:
    """The cells of a sweep.

    Args:
        name: Where it comes from, as given.
        cells: In the order of the file, the last list quickest; then single cells; then marks that are no cell of those.
        default: The cell that the first mark names; None: nothing is marked.
        notes: What a reader must be told.
    """

    name: str
    cells: tuple[Cell, ...]
    default: Cell | None
    notes: tuple[str, ...] = ()

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that are not the same in all cells."""
        found = []
        for name in SHORT:
            if len({getattr(cell.sampler, name) for cell in self.cells}) > 1:
                found.append(name)
        return tuple(found)

    @property
    def digest(self) -> str:
        """Hash of what the cells set and how they are marked."""
        return hash_json([[cell.sampler.model_dump(mode="json"), cell.marks] for cell in self.cells])


def packaged() -> list[str]:
    """Return the names of the grids that come with Watari."""
    folder = resources.files("watari.leakage.sweep") / "grids"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def read_grid(location: str, *, own: Mapping[str, Any] | None = None, max_tokens: int | None = None) -> Grid:
    """Return the grid of a file.

    Args:
        location: A YAML file, or the name of a packaged grid.
        own: The model's own `generation_config.json`: marked as `the model's own`, after the file's marks, where it sets
            any sampling.
        max_tokens: In place of the file's `max_new_tokens`.

    Raises:
        UserError: naming file, line and field of what cannot be used.
    """
    text, shown = _text(location)
    from watari.recipe.source import read_tree

    return _Reading(shown, read_tree(text, shown, Path.cwd())).grid(own or {}, max_tokens)


def cell_name(sampler: Sampler, *, length: bool = False) -> str:
    """Return what a setting is called: what is off is left out.

    Args:
        sampler: The setting.
        length: Whether the limit of an answer is named too.
    """
    parts = []
    for name, short in SHORT.items():
        value = getattr(sampler, name)
        if name == "temperature":
            parts.append("greedy" if sampler.greedy else f"{short} {value:g}")
        elif name == "max_new_tokens":
            if length:
                parts.append(f"{short} {value}")
        elif value != Sampler.model_fields[name].default:
            parts.append(f"{short} {value:g}")
    return ", ".join(parts)


def plain(sampler: Sampler) -> Sampler:
    """Return a setting without what has no effect: greedy search knows no truncation."""
    if not sampler.greedy:
        return sampler
    return sampler.with_settings(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0)


def _text(location: str) -> tuple[str, str]:
    path = Path(location)
    if not path.exists() and "/" not in location and location in packaged():
        file = resources.files("watari.leakage.sweep") / "grids" / f"{location}.yaml"
        return file.read_text("utf-8"), f"grid {location}"
    try:
        return path.read_text("utf-8-sig"), location
    except UnicodeDecodeError:
        raise UserError(f"{location}: not UTF-8") from None
    except OSError as error:
        raise UserError(
            f"{location}: {error.strerror.lower() if error.strerror else error}",
            f"a YAML file, or one of {', '.join(packaged())}",
        ) from None


class _Reading:
    """One grid file on its way to cells."""

    def __init__(self, shown: str, tree: Any) -> None:
        self._shown = shown
        self._tree = tree
        self._notes: list[str] = []

    def grid(self, own: Mapping[str, Any], max_tokens: int | None) -> Grid:
        value = self._tree.value
        if not isinstance(value, dict):
            raise self._wrong((), "a grid file is a map", f"with {', '.join(_KEYS)}")
        for key in value:
            if key not in _KEYS:
                raise self._wrong((key,), f"unknown key {key!r}", f"a grid has {', '.join(_KEYS)}")
        self._base = self._sampler(Sampler(), value.get("base") or {}, ("base",))
        if max_tokens is not None:
            self._base = self._base.with_settings(max_new_tokens=max_tokens)
        found: dict[str, tuple[Sampler, list[str]]] = {}
        asked = 0
        for sampler in itertools.chain(self._product(value.get("grid")), self._single(value.get("cells"))):
            asked += 1
            found.setdefault(plain(sampler).model_dump_json(), (plain(sampler), []))
            if len(found) > MOST_CELLS:
                raise self._wrong(("grid",), f"more than {MOST_CELLS:,} cells", "shorten a list")
        if not found:
            raise self._wrong((), "no cell", "give `grid:` with lists, or `cells:`")
        if asked > len(found):
            self._notes.append(f"{asked - len(found)} of {asked} cells mean the same as another one")
        first = None
        for mark, sampler in self._marks(value.get("marks"), own):
            key = sampler.model_dump_json()
            found.setdefault(key, (sampler, []))[1].append(mark)
            first = first or key
        long = len({sampler.max_new_tokens for sampler, _ in found.values()}) > 1
        cells = {
            key: Cell(cell_name(sampler, length=long), sampler, tuple(marks))
            for key, (sampler, marks) in found.items()
        }
        return Grid(self._shown, tuple(cells.values()), cells[first] if first else None, tuple(self._notes))

    def _product(self, axes: Any) -> Iterator[Sampler]:
        if axes is None:
            return
        if not isinstance(axes, dict) or not axes:
            raise self._wrong(("grid",), "`grid` is a map of lists", "temperature: [0.1, 0.7]")
        choices = [self._choices(name, values) for name, values in axes.items()]
        for picks in itertools.product(*choices):
            settings: dict[str, Any] = {}
            for name, pick in zip(axes, picks, strict=True):
                for field in pick:
                    if field in settings:
                        raise self._wrong(
                            ("grid", name), f"{field} is set by two lists", "take it out of one of them"
                        )
                settings |= pick
            yield self._laid(self._base, settings, ("grid",))

    def _choices(self, name: str, values: Any) -> Sequence[dict[str, Any]]:
        path = ("grid", name)
        several = values if isinstance(values, list) else [values]
        if not several:
            raise self._wrong(path, f"{name}: an empty list makes no cell")
        field = ALIASES.get(name, name)
        known = field in Sampler.model_fields
        found = []
        for place, one in enumerate(several):
            here = (*path, place)
            if isinstance(one, dict):
                if known:
                    raise self._wrong(here, f"{name}: a number is wanted, not a map")
                found.append(self._settings(one, here))
            elif one == NONE or one is None:
                found.append({})
            elif known:
                found.append({field: one})
            else:
                raise self._wrong(
                    here,
                    f"{name} is no setting that an engine is known to have",
                    f"{', '.join(SHORT)}; or maps of those under a name of your own",
                )
        for pick in found:
            self._laid(self._base, pick, path)
        return found

    def _single(self, cells: Any) -> Iterator[Sampler]:
        if cells is None:
            return
        if not isinstance(cells, list):
            raise self._wrong(("cells",), "`cells` is a list of maps", "- {temperature: 0.7, min_p: 0.1}")
        for place, one in enumerate(cells):
            yield self._sampler(self._base, one, ("cells", place))

    def _marks(self, marks: Any, own: Mapping[str, Any]) -> Iterator[tuple[str, Sampler]]:
        if marks is not None and not isinstance(marks, dict):
            raise self._wrong(
                ("marks",), "`marks` is a map of names", "card: {temperature: 0.7, top_p: 0.95}"
            )
        for name, one in (marks or {}).items():
            yield name, plain(self._sampler(self._base, one, ("marks", name)))
        sampling = {name for name in ("do_sample", *SHORT) if own.get(name) is not None} - {"max_new_tokens"}
        if sampling:
            limit = {"max_new_tokens": self._base.max_new_tokens}
            yield "the model's own", plain(Sampler().with_generation_config({**own, **limit}))

    def _sampler(self, base: Sampler, given: Any, path: tuple[str | int, ...]) -> Sampler:
        if not isinstance(given, dict):
            raise self._wrong(path, "a map of settings is wanted", "{temperature: 0.7, top_p: 0.95}")
        return self._laid(base, self._settings(given, path), path)

    def _settings(self, given: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
        found = {}
        for name, value in given.items():
            field = ALIASES.get(name, name)
            if field not in Sampler.model_fields:
                raise self._wrong(
                    (*path, name),
                    f"{name} is no setting that an engine is known to have",
                    f"{', '.join(Sampler.model_fields)}",
                )
            if field in found:
                raise self._wrong((*path, name), f"{field} is set twice")
            if value is not None and value != NONE:
                found[field] = value
        return found

    def _laid(self, base: Sampler, settings: dict[str, Any], path: tuple[str | int, ...]) -> Sampler:
        for name, value in settings.items():
            if name != "stop" and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise self._wrong(path, f"{name}: a number is wanted, not {value!r:.40}")
        try:
            return base.with_settings(**settings)
        except UserError as error:
            raise self._wrong(path, error.message.removeprefix("sampler: "), error.mend) from None

    def _wrong(self, path: tuple[str | int, ...], what: str, mend: str | None = None) -> UserError:
        place = self._tree.place(path)
        where = f"{self._shown}:{place.line}" if place is not None and place.line else self._shown
        return UserError(f"{where}: {what}", mend)
