"""The tables of scores: one for each thing that was asked, the models that were asked it side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from watari.artifact.hashing import canonical_json
from watari.artifact.kinds import Kind
from watari.pages.labels import language_name
from watari.report.cards import language_rank
from watari.report.figures import Figure, Score
from watari.report.stages import ReportStage, graph_order
from watari.report.table import Cell, Column, Row, Table, two_lines
from watari.report.words import WORDS, t

_HOW = frozenset({"style", "few_shot", "examples", "max_new_tokens", "window", "stride"})
"""Parameters that say how a model was asked, not what: figures that differ in them stand side by side, marked."""


def score_tables(stages: Sequence[ReportStage], scores: dict[str, list[Score]]) -> list[Table]:
    """One table for the evaluations that ask the same of different models: kind, data and what was asked are equal."""
    groups: dict[str, list[ReportStage]] = {}
    for stage in graph_order([stage for stage in stages if scores.get(stage.name)]):
        asked = {name: value for name, value in stage.manifest.parameters.items() if name not in _HOW}
        same = canonical_json([stage.uses, _data_of(stage), asked, stage.manifest.seed])
        groups.setdefault(same, []).append(stage)
    return [
        _score_table(f"scores{place}", members, scores) for place, members in enumerate(groups.values(), 1)
    ]


def _score_table(id: str, members: list[ReportStage], scores: dict[str, list[Score]]) -> Table:
    cells: dict[tuple[str, str], dict[str, Figure]] = {}
    for stage in members:
        for score in scores[stage.name]:
            cells.setdefault((score.metric, score.group), {})[stage.name] = score.figure
    metrics = list(dict.fromkeys(metric for metric, _ in cells))
    ranked = sorted(cells, key=lambda key: (metrics.index(key[0]), language_rank(key[1])))
    subjects = [stage.subject.name for stage in members]
    alone = len(set(subjects)) == len(subjects)
    differing = [
        name
        for name in sorted(_HOW)
        if len({canonical_json(stage.manifest.parameters.get(name)) for stage in members}) > 1
        and not any(isinstance(stage.manifest.parameters.get(name), dict) for stage in members)
    ]
    columns = []
    for stage in members:
        label = two_lines(stage.subject.name if alone else stage.name)
        for name in differing:
            said = stage.manifest.parameters.get(name)
            label += Markup("<small>{}: {}</small>").format(name, "–" if said is None else said)
        columns.append(Column(label, stage.anchor))
    rows = [
        Row(
            _score_label(metric, group, many=len(metrics) > 1),
            [Cell(cells[(metric, group)].get(stage.name), detail=True) for stage in members],
            indent="/" in group,
        )
        for metric, group in ranked
    ]
    what = ", ".join(name for _, name, _ in _data_of(members[0])) or members[0].base
    title = t("scores_table", kind=members[0].uses, what=what)
    return Table(id, title, t("scores_note"), t("group"), columns, rows)


def _data_of(stage: ReportStage) -> list[tuple[str, str, dict[str, object] | None]]:
    """Return (parameter, name without its variant, selection) of what an evaluation asks about."""
    return [
        (source.parameter, source.name.partition("@")[0], source.selection)
        for source in stage.sources
        if source.kind != Kind.MODEL and source.parameter not in _HOW
    ]


def _score_label(metric: str, group: str, *, many: bool) -> Markup:
    language, _, task = group.partition("/")
    name = Markup("{} / {}").format(language_name(language), task) if task else language_name(language)
    if not group or group == "all":
        name = t("all_groups")
    head = t(metric) if metric in WORDS else Markup("<code>{}</code>").format(metric)
    return Markup("{} · {}").format(head, name) if many else name
