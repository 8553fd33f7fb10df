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
that mean the same are one. `extra_body: {dry_multiplier: 0.8}` stands where settings may stand: fields that only the server
knows (`extras.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.generate.sampler import Sampler
from watari.leakage.sweep.extras import told
from watari.pages.noted import Note

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


@dataclass(frozen=True)
class Cell:
    """One setting.

    Args:
        name: `T 0.7, top_p 0.95, rep 1.05`; unique in the grid.
        sampler: Everything that it sets.
        marks: What it is called besides: `Shisa's card`.
        extra: Fields of a request that only the server knows, as it names them.
    """

    name: str
    sampler: Sampler
    marks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def greedy(self) -> bool:
        """True if the same prompt always gets the same answer."""
        return self.sampler.greedy

    @property
    def settings(self) -> dict[str, Any]:
        """All of it as plain data; `extra_body` only where there is any."""
        own = self.sampler.model_dump(mode="json")
        return {**own, "extra_body": dict(self.extra)} if self.extra else own


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
    notes: tuple[Note, ...] = ()

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
        return hash_json([[cell.settings, cell.marks] for cell in self.cells])


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
    from watari.artifact.yaml_tree import read_tree
    from watari.leakage.sweep.grid_reading import Reading

    return Reading(shown, read_tree(text, shown, Path.cwd())).grid(own or {}, max_tokens)


def cell_name(sampler: Sampler, extra: Mapping[str, Any] | None = None, *, length: bool = False) -> str:
    """Return what a setting is called: what is off is left out, and no two settings are called the same.

    Args:
        sampler: The setting.
        extra: Fields that only the server knows.
        length: Whether the limit of an answer is named too.
    """
    parts = []
    for name, short in SHORT.items():
        value = getattr(sampler, name)
        if name == "temperature":
            parts.append("greedy" if sampler.greedy else f"{short} {_number(value)}")
        elif name == "max_new_tokens":
            if length:
                parts.append(f"{short} {value}")
        elif value != Sampler.model_fields[name].default:
            parts.append(f"{short} {_number(value)}")
    if sampler.stop:
        parts.append(told("stop", list(sampler.stop)))
    return ", ".join([*parts, *(told(name, value) for name, value in (extra or {}).items())])


def plain(sampler: Sampler) -> Sampler:
    """Return a setting without what has no effect: greedy search knows no truncation."""
    if not sampler.greedy:
        return sampler
    return sampler.with_settings(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0)


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


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
