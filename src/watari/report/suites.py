"""Answers of evaluation suites: the same items answered by each model, with the right answer or the judge's ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from markupsafe import Markup

from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import canonical_json
from watari.report.figures import SUITES, Score, read_lines
from watari.report.samples import Answer, Sample, SampleSet, as_text, cut_turn
from watari.report.stages import ReportStage, graph_order
from watari.report.words import t

ITEMS, GENERATIONS, JUDGMENTS = "items.jsonl", "generations.parquet", "judgments.parquet"
_DRAW = "report.run/suites"
_BREAK = "\n― {} ―\n"


@dataclass
class _Item:
    group: str
    turns: list[str]
    gold: str
    answers: list[Answer] = field(default_factory=list)


def suite_samples(
    stages: Sequence[ReportStage], scores: dict[str, list[Score]], *, seed: int, count: int
) -> list[SampleSet]:
    """Return `count` items of each suite (spec and judge), over the categories or datasets in turn, drawn by (seed, item).

    Of each model the first run is shown, all turns of it; items that more of the models were asked go first.
    """
    suites: dict[tuple[str, str, str], list[ReportStage]] = {}
    for stage in graph_order([one for one in stages if one.uses in SUITES and scores.get(one.name)]):
        figure = scores[stage.name][0].figure
        suites.setdefault((stage.uses, figure.spec, figure.judge), []).append(stage)
    found = []
    for (uses, spec, judge), members in suites.items():
        items: dict[str, _Item] = {}
        subjects = [stage.subject.name for stage in members]
        alone = len(set(subjects)) == len(subjects)
        for stage in members:
            _add(items, stage, stage.subject.name if alone else stage.name, scores[stage.name])
        shown = [
            Sample("", item.group, [cut_turn("user", turn) for turn in item.turns], item.gold, item.answers)
            for item in _spread(items, seed, count)
        ]
        title = Markup("{} · <code>{}</code>").format(uses, spec)
        title += Markup(" · {}").format(t("judged_by", judge=judge)) if judge else ""
        if shown:
            found.append(SampleSet("", shown, title))
    return found


def _add(items: dict[str, _Item], stage: ReportStage, label: str, scores: Sequence[Score]) -> None:
    """Add the answers that one stage recorded to the items that were asked."""
    asked = {(as_text(row.get("group")), as_text(row.get("id"))): row for row in _lines(stage.path / ITEMS)}
    exact = {
        score.group.removesuffix("_exact_match") for score in scores if score.group.endswith("_exact_match")
    }
    ratings = {
        (as_text(row.get("question_id")), row.get("turn")): row.get("rating")
        for row in _rows(stage.path / JUDGMENTS, ["question_id", "turn", "run", "rating"])
        if row.get("run") == 0
    }
    answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    columns = ["item_id", "group", "run", "turn", "response", "gold", "pred", "problem"]
    for row in _rows(stage.path / GENERATIONS, columns):
        if row.get("run") == 0:
            answers.setdefault((as_text(row.get("group")), as_text(row.get("item_id"))), []).append(row)
    for (group, item_id), rows in answers.items():
        about = asked.get((group, item_id), {})
        turns = [as_text(turn) for turn in about.get("turns") or []]
        gold = as_text(about.get("gold"))
        item = items.setdefault(canonical_json([group, item_id, turns, gold]), _Item(group, turns, gold))
        rows.sort(key=lambda row: row.get("turn") or 0)
        said = "".join(
            (_BREAK.format(row.get("turn")) if place else "") + as_text(row.get("response"))
            for place, row in enumerate(rows)
        )
        rated = [ratings[(item_id, row.get("turn"))] for row in rows if (item_id, row.get("turn")) in ratings]
        verdict, mark = _verdict(rows[0], exact, rated)
        item.answers.append(Answer(stage, label, cut_turn("assistant", said), verdict, mark))


def _verdict(row: dict[str, Any], exact: set[str], rated: list[Any]) -> tuple[str, Markup]:
    if rated:
        if all(rating is None for rating in rated):
            return "unreadable", t("unrated")
        return "answered", t("rated", rating=" · ".join("–" if one is None else f"{one:g}" for one in rated))
    if as_text(row.get("problem")) or not as_text(row.get("response")).strip():
        return "unreadable", Markup()
    if row.get("gold") and row.get("group") in exact:
        return ("right" if row.get("pred") == row.get("gold") else "wrong"), Markup()
    return "answered", Markup()


def _spread(items: dict[str, _Item], seed: int, count: int) -> list[_Item]:
    groups: dict[str, list[_Item]] = {}
    ranked = sorted(items, key=lambda name: (-len(items[name].answers), draw_uint64(seed, _DRAW, name)))
    for name in ranked:
        groups.setdefault(items[name].group, []).append(items[name])
    rounds = zip_longest(*groups.values())
    return list(islice((item for turn in rounds for item in turn if item is not None), count))


def _lines(path: Path) -> list[dict[str, Any]]:
    return read_lines(path) if path.is_file() else []


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    """Return some columns of a parquet file, those that it has; [] without the file."""
    if not path.is_file():
        return []
    import pyarrow.parquet as pq

    known = set(pq.read_schema(path).names)
    rows: list[dict[str, Any]] = pq.read_table(
        path, columns=[one for one in columns if one in known]
    ).to_pylist()
    return rows
