"""What the page shows, as data: a league table for each spec and judge. Two judges or two specs never share one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from watari.evals.page.tied import tied_letters
from watari.evals.refusal import refusal
from watari.evals.result import Figure, Result, Unit

_TURN = re.compile(r"\bturn \d+$")
_REFUSED = re.compile(r"^(?:(.+): )?([\d.]+) % of ([\d,]+) ")
NOBODY = ""
"""The judge of a table that nobody judged."""


@dataclass(frozen=True)
class Entry:
    """A model in a league table.

    Args:
        model: As the files name it.
        result: All of it.
        overall: The figure that it is ranked by.
        place: From 1; None for one that is refused, or has no figure.
        tied: Letters of the groups of models that are not told apart ("ab"); "" if there is only one model.
        refused: Why there is no figure to show; None if there is.
        reasons: Invalid units by reason, most frequent first.
    """

    model: str
    result: Result
    overall: Figure
    place: int | None
    tied: str
    refused: str | None
    reasons: tuple[tuple[str, int], ...]

    def figure(self, name: str) -> Figure | None:
        """Return one of its figures; None if there is none of that name, or the model is refused."""
        return None if self.refused else self.result.figures.get(name)

    @property
    def refused_in_japanese(self) -> str:
        """What `refused` says, in Japanese; "" for one that is not refused."""
        found = _REFUSED.search(self.refused or "")
        if found is None:
            return ""
        what = "回答" if self.result.judge is None else "評点"
        name = f"{found[1]}：" if found[1] else ""
        return f"{name}{what} {found[3]} 件のうち {found[2]} % が無効"

    @property
    def invalid(self) -> int:
        """Units that are invalid, also those that `as-is` averages in all the same."""
        return sum(count for _, count in self.reasons)

    @property
    def units(self) -> int:
        """Units in all."""
        return len(self.result.units)


@dataclass(frozen=True)
class Board:
    """One league table: one spec, one judge.

    Args:
        id: Its anchor on the page.
        spec: The label, name/version.
        judge: "" where nobody judged.
        overall: The name of the figure that decides.
        scale: Lowest and highest value of a figure.
        entries: Best first; refused models last.
        categories: Names of figures by category, in the spec's order.
        turns: Names of figures by turn.
        details: Names of all other figures.
        notes: What must be told, and of which models.
        settings: Those that all results share.
    """

    id: str
    spec: str
    judge: str
    overall: str
    scale: tuple[float, float]
    entries: tuple[Entry, ...]
    categories: tuple[str, ...]
    turns: tuple[str, ...]
    details: tuple[str, ...]
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> list[Entry]:
        """Those with a figure, best first."""
        return [entry for entry in self.entries if entry.place is not None]

    @property
    def digits(self) -> int:
        """Decimals that a figure is written with: four for shares of one, two for ratings."""
        return 4 if max(abs(end) for end in self.scale) <= 1 else 2

    def written(self, value: float | None) -> str:
        """Return a figure as text; a dash for None."""
        return "–" if value is None else f"{value:.{self.digits}f}".replace("-", "−")


def boards_of(
    results: Sequence[Result],
    scales: Mapping[str, tuple[float, float]],
    *,
    limit: float = 0.05,
    seed: int = 0,
) -> list[Board]:
    """Return the league tables of results, in the order in which their specs and judges first come.

    Args:
        results: Of any specs and judges; a model at most once under each.
        scales: By spec label; a spec that is not in it has the scale that its figures span.
        limit: Share of invalid units above which a model is refused.
        seed: Of the bootstrap that tells models apart.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.spec, result.judge or NOBODY), []).append(result)
    return [
        _board(f"board-{place}", spec, judge, members, scales.get(spec) or _spanned(members), limit, seed)
        for place, ((spec, judge), members) in enumerate(groups.items(), 1)
    ]


def _board(
    id: str,
    spec: str,
    judge: str,
    results: Sequence[Result],
    scale: tuple[float, float],
    limit: float,
    seed: int,
) -> Board:
    refused = {place: refusal(result, limit) for place, result in enumerate(results)}
    value = {place: result.figures[result.overall].value for place, result in enumerate(results)}
    ranked = sorted(
        (place for place in refused if refused[place] is None and value[place] is not None),
        key=lambda place: (-(value[place] or 0.0), results[place].model),
    )
    behind = sorted(set(refused) - set(ranked), key=lambda place: results[place].model)
    letters = tied_letters([results[place] for place in ranked], seed=seed)
    entries = [
        _entry(results[place], rank if place in ranked else None, letters.get(results[place].model, ""), refused[place])
        for rank, place in enumerate([*ranked, *behind], 1)
    ]  # fmt: skip
    names = list(dict.fromkeys(name for result in results for name in result.figures))
    overall = results[0].overall
    known = {name for result in results for unit in result.units for name in (unit.category, unit.stratum)}
    categories = [name for name in names if name in known and name != overall]
    turns = [name for name in names if _TURN.match(name)]
    # One turn alone is the overall figure again, under every category too.
    once = {name for name in names if _TURN.search(name)} if len(turns) == 1 else set()
    names = [name for name in names if name not in once]
    turns = [name for name in turns if name not in once]
    rest = [name for name in names if name not in {overall, *categories, *turns}]
    return Board(
        id=id,
        spec=spec,
        judge=judge,
        overall=overall,
        scale=scale,
        entries=tuple(entries),
        categories=tuple(categories),
        turns=tuple(turns),
        details=tuple(rest),
        notes=_notes(results),
        settings=_shared([result.settings for result in results]),
    )


def _entry(result: Result, place: int | None, tied: str, refused: str | None) -> Entry:
    reasons = Counter(unit.reason or "–" for unit in result.units if unit.reason or unit.value is None)
    return Entry(
        model=result.model,
        result=result,
        overall=result.figures[result.overall],
        place=place,
        tied=tied,
        refused=refused,
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


def _spanned(results: Sequence[Result]) -> tuple[float, float]:
    values = [
        figure.value for result in results for figure in result.figures.values() if figure.value is not None
    ]
    return (0.0, 1.0) if all(-1 <= value <= 1 for value in values) else (0.0, 10.0 if max(values) <= 10 else 100.0)  # fmt: skip


def _notes(results: Sequence[Result]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each note once, with the models that it is about."""
    found: dict[str, list[str]] = {}
    for result in results:
        for note in dict.fromkeys(result.notes):
            found.setdefault(note, []).append(result.model)
    return tuple((note, tuple(models)) for note, models in found.items())


def _shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = settings[0] if settings else {}
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in settings)}  # fmt: skip


def spread(entry: Entry, bins: Sequence[tuple[float, float]]) -> list[float]:
    """Return the share of an entry's units in each bin (its ends included, the first that fits), then the invalid."""
    counts = [0] * (len(bins) + 1)
    for unit in counted(entry):
        counts[_bin(unit, bins)] += 1
    total = sum(counts) or 1
    return [count / total for count in counts]


def counted(entry: Entry) -> list[Unit]:
    """Return the units that the overall figure rests on, and the invalid: others may lie on another scale (JSTS)."""
    return [unit for unit in entry.result.units if unit.weight or unit.value is None]


def _bin(unit: Unit, bins: Sequence[tuple[float, float]]) -> int:
    if unit.value is None:
        return len(bins)
    for place, (_, high) in enumerate(bins):
        if unit.value <= high + 1e-9:
            return place
    return len(bins) - 1


def bins_of(board: Board) -> list[tuple[float, float]]:
    """Return the bins in which a table's values are counted: each rating of its own, or ten even steps of the scale."""
    values = {unit.value for entry in board.entries for unit in counted(entry) if unit.value is not None}
    whole = all(float(value).is_integer() for value in values)
    low, high = board.scale
    low, high = min([low, *values]), max([high, *values])
    if whole and high - low > 1 and high - low <= 12:
        return [(float(step), float(step)) for step in range(round(low), round(high) + 1)]
    step = (high - low) / 10
    return [(low + step * place, low + step * (place + 1)) for place in range(10)]
