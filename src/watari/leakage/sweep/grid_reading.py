"""A grid file on its way to cells; what cannot be used is told with its line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from watari.errors import UserError
from watari.generate.sampler import Sampler
from watari.leakage.sweep.extras import FIELD, effective, refusal, without_known_off
from watari.leakage.sweep.grid import SHORT, Cell, Grid, cell_name, plain
from watari.pages.noted import Note

NONE = "none"
ALIASES = {"max_tokens": "max_new_tokens"}
MOST_CELLS = 2000
MOST_COMBINATIONS = 50_000
"""Of the lists, before those that mean the same are put together."""
_KEYS = ("base", "grid", "cells", "marks")
_LARGEST = 10**9
_OFF = ("top_p", "top_k", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty", "stop")
_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class _Setting:
    """What a cell sets, before it has a name."""

    sampler: Sampler
    extra: Mapping[str, Any]

    @property
    def plain(self) -> _Setting:
        """Without what has no effect."""
        return _Setting(plain(self.sampler), effective(self.extra))

    @property
    def key(self) -> bytes:
        """The same for what means the same."""
        return orjson.dumps([self.sampler.model_dump(mode="json"), self.extra], option=orjson.OPT_SORT_KEYS)


def _wrong_value(name: str, value: Any) -> tuple[str, str | None] | None:
    """Return what is wrong with the value of one of Watari's own settings, and the mend; None: its range is looked at later."""
    if name == "stop":
        if value == () or (
            isinstance(value, list) and value and all(isinstance(one, str) and one for one in value)
        ):
            return None
        return f"stop: a list of texts is wanted, not {value!r:.40}", 'stop: [["###"], none]'
    if isinstance(value, bool) or not isinstance(value, int | float):
        quoted = isinstance(value, str) and value.replace(".", "", 1).isdigit()
        return (
            f"{name}: a number is wanted, not {value!r:.40}",
            f"write {value} without quotes" if quoted else None,
        )
    return (f"{name}: {value:.3g} is too large", None) if abs(value) > _LARGEST else None


def _or_empty(value: Mapping[str, Any], key: str) -> Any:
    return {} if value.get(key) is None else value[key]


class Reading:
    """One grid file.

    Args:
        shown: Its name in messages.
        tree: What it holds, of `artifact.yaml_tree`.
    """

    def __init__(self, shown: str, tree: Any) -> None:
        self._shown = shown
        self._tree = tree
        self._notes: list[Note] = []

    def grid(self, own: Mapping[str, Any], max_tokens: int | None) -> Grid:
        """Return its cells.

        Raises:
            UserError: with the line of what cannot be used.
        """
        value = self._tree.value
        if not isinstance(value, dict):
            raise self._wrong((), "a grid file is a map", f"with {', '.join(_KEYS)}")
        for key in value:
            if key not in _KEYS:
                raise self._wrong((key,), f"unknown key {key!r}", f"a grid has {', '.join(_KEYS)}")
        self._base = self._setting(_Setting(Sampler(), {}), _or_empty(value, "base"), ("base",))
        if max_tokens is not None:
            limited = self._base.sampler.with_settings(max_new_tokens=max_tokens)
            self._base = _Setting(limited, self._base.extra)
        found: dict[bytes, tuple[_Setting, list[str]]] = {}
        asked = 0
        for setting in itertools.chain(self._product(value.get("grid")), self._single(value.get("cells"))):
            asked += 1
            found.setdefault(setting.plain.key, (setting.plain, []))
            if len(found) > MOST_CELLS:
                raise self._too_many(f"more than {MOST_CELLS:,} cells")
        if not found:
            raise self._wrong((), "no cell", "give `grid:` with lists, or `cells:`")
        if asked > len(found):
            same = asked - len(found)
            self._notes.append(
                Note(
                    f"{same:,} of {asked:,} cells {'means' if same == 1 else 'mean'} the same as another one",
                    f"{asked:,} 通りのうち {same:,} 通りは、ほかの設定と同じ意味です",
                )
            )
        first = None
        for mark, setting in self._marks(value.get("marks"), own):
            found.setdefault(setting.key, (setting, []))[1].append(mark)
            first = first or setting.key
        return self._named(found, first)

    def _named(self, found: Mapping[bytes, tuple[_Setting, list[str]]], first: bytes | None) -> Grid:
        long = len({setting.sampler.max_new_tokens for setting, _ in found.values()}) > 1
        cells = {
            key: Cell(
                cell_name(setting.sampler, setting.extra, length=long),
                setting.sampler,
                tuple(marks),
                setting.extra,
            )
            for key, (setting, marks) in found.items()
        }
        if alone := without_known_off(cell.extra for cell in cells.values()):
            self._notes.append(
                Note(
                    f"{', '.join(alone)}: only sent in the cells that name {'it' if len(alone) == 1 else 'them'};"
                    " in the others the server does what it does without",
                    f"{'、'.join(alone)}：書かれている設定だけで送ります。ほかの設定では、サーバーの既定の動作になります",
                )
            )
        return Grid(self._shown, tuple(cells.values()), cells[first] if first else None, tuple(self._notes))

    def _product(self, axes: Any) -> Iterator[_Setting]:
        if axes is None:
            return
        if not isinstance(axes, dict) or not axes:
            raise self._wrong(("grid",), "`grid` is a map of lists", "temperature: [0.1, 0.7]")
        sizes = [len(values) if isinstance(values, list) else 1 for values in axes.values()]
        if math.prod(sizes) > MOST_COMBINATIONS:
            shown = " x ".join(f"{size:,}" for size in sizes)
            raise self._too_many(
                f"{shown} = {math.prod(sizes):,} cells" if len(sizes) > 1 else f"{shown} cells"
            )
        choices = [self._choices(name, values) for name, values in axes.items()]
        for picks in itertools.product(*choices):
            settings: dict[str, Any] = {}
            for name, pick in zip(axes, picks, strict=True):
                self._lay_over(settings, pick, name)
            yield self._laid(self._base, settings, ("grid",))

    def _lay_over(self, settings: dict[str, Any], pick: Mapping[str, Any], name: str) -> None:
        for field, value in pick.items():
            twice = field if field in settings else ""
            if field == FIELD and twice:
                twice = next((one for one in value if one in settings[FIELD]), "")
                settings[FIELD] = {**settings[FIELD], **value}
            else:
                settings[field] = value
            if twice:
                raise self._wrong(
                    ("grid", name), f"{twice} is set by two lists", "take it out of one of them"
                )

    def _choices(self, name: str, values: Any) -> Sequence[dict[str, Any]]:
        path = ("grid", name)
        several = values if isinstance(values, list) else [values]
        if values is None:
            raise self._wrong(
                path, f"{name}: nothing is given", f"a list of values, such as {name}: [{NONE}]"
            )
        if not several:
            raise self._wrong(path, f"{name}: an empty list makes no cell")
        field = ALIASES.get(name, name)
        known = field in Sampler.model_fields
        found = []
        for place, one in enumerate(several):
            here = (*path, place)
            if one == NONE or one is None:
                # Off, also where `base` has it on; a temperature and a limit have no "off".
                found.append({field: Sampler.model_fields[field].default} if field in _OFF else {})
            elif name == FIELD:
                found.append(self._settings({FIELD: one}, path, shown=place))
            elif isinstance(one, dict):
                if known:
                    raise self._wrong(here, f"{name}: a number is wanted, not a map")
                found.append(self._settings(one, here))
            elif known:
                found.append({field: one})
            else:
                raise self._wrong(
                    here,
                    f"{name} is no setting that every engine is known to have",
                    f"{', '.join(SHORT)}; maps of those under a name of your own; or what a server has besides:"
                    f" {FIELD}: [{{{name}: {one!s:.20}}}, none]",
                )
        for pick in found:
            self._laid(self._base, pick, path)
        return found

    def _single(self, cells: Any) -> Iterator[_Setting]:
        if cells is None:
            return
        if not isinstance(cells, list):
            raise self._wrong(("cells",), "`cells` is a list of maps", "- {temperature: 0.7, min_p: 0.1}")
        for place, one in enumerate(cells):
            yield self._setting(self._base, one, ("cells", place))

    def _marks(self, marks: Any, own: Mapping[str, Any]) -> Iterator[tuple[str, _Setting]]:
        if marks is not None and not isinstance(marks, dict):
            raise self._wrong(
                ("marks",), "`marks` is a map of names", "card: {temperature: 0.7, top_p: 0.95}"
            )
        for name, one in (marks or {}).items():
            yield name, self._setting(self._base, one, ("marks", name)).plain
        sampling = {name for name in ("do_sample", *SHORT) if own.get(name) is not None} - {"max_new_tokens"}
        if sampling:
            limit = {"max_new_tokens": self._base.sampler.max_new_tokens}
            sampler = Sampler().with_generation_config({**own, **limit})
            yield "the model's own", _Setting(plain(sampler), {})

    def _setting(self, base: _Setting, given: Any, path: _Path) -> _Setting:
        if not isinstance(given, dict):
            raise self._wrong(path, "a map of settings is wanted", "{temperature: 0.7, top_p: 0.95}")
        return self._laid(base, self._settings(given, path), path)

    def _settings(self, given: dict[str, Any], path: _Path, *, shown: int | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in given.items():
            field = ALIASES.get(name, name)
            here = (*path, name if shown is None else shown)
            if field == FIELD:
                found[FIELD] = self._fields(value, here)
                continue
            if field not in Sampler.model_fields:
                raise self._wrong(
                    here,
                    f"{name} is no setting that every engine is known to have",
                    f"{', '.join(Sampler.model_fields)}; or what a server has besides, within {FIELD}: {{}}",
                )
            if field in found:
                raise self._wrong(here, f"{field} is set twice")
            if value is not None and value != NONE:
                found[field] = value
        return found

    def _fields(self, value: Any, path: _Path) -> dict[str, Any]:
        if value is None or value == NONE:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(
                path, f"{FIELD}: a map of a server's own fields is wanted", "{dry_multiplier: 0.8}"
            )
        found = {}
        for name, one in value.items():
            if wrong := refusal(name, one):
                raise self._wrong((*path, name), *wrong)
            # 1.0 and 1 mean the same, and are one cell.
            found[name] = int(one) if isinstance(one, float) and one.is_integer() else one
        return found

    def _laid(self, base: _Setting, settings: dict[str, Any], path: _Path) -> _Setting:
        own = {name: value for name, value in settings.items() if name != FIELD}
        extra = {**base.extra, **settings.get(FIELD, {})}
        for name, value in own.items():
            if wrong := _wrong_value(name, value):
                raise self._wrong(path, *wrong)
        try:
            return _Setting(base.sampler.with_settings(**own), extra)
        except UserError as error:
            raise self._wrong(path, error.message.removeprefix("sampler: "), error.mend) from None

    def _too_many(self, what: str) -> UserError:
        return self._wrong(
            ("grid",),
            f"{what}; a sweep compares {MOST_CELLS:,} at most",
            "shorten a list, or sweep one axis after the other: `cells:` around the best so far",
        )

    def _wrong(self, path: _Path, what: str, mend: str | None = None) -> UserError:
        place = self._tree.place(path)
        where = f"{self._shown}:{place.line}" if place is not None and place.line else self._shown
        return UserError(f"{where}: {what}", mend)
