"""The tables of scores: one for each thing that was asked, the models that were asked it side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from watari.artifact.hashing import canonical_json
from watari.artifact.kinds import Kind
from watari.pages.labels import language_name
from watari.report.cards import language_rank
from watari.report.figures import SUITES, Figure, Score
from watari.report.stages import ReportStage, graph_order
from watari.report.table import Cell, Column, Row, Table, two_lines
from watari.report.words import FIGURE_NAMES, WORDS, t

_HOW = frozenset({"style", "few_shot", "examples", "max_new_tokens", "window", "stride"})
"""Parameters that say how a model was asked, not what: figures that differ in them stand side by side, marked."""


OWN_TABLES = ("leakage.scan", "sweep.run")
"""Stages whose scores stand in tables of their own: see `leakage`."""
_ABOUT = ("questions", "datasets", "prompts", "limit", "shots", "language")
"""Parameters of a suite that say what is asked; the model and what is runtime-only say nothing of it."""


def score_tables(stages: Sequence[ReportStage], scores: dict[str, list[Score]]) -> list[Table]:
    """One table for the evaluations that ask the same of different models: kind, data and what was asked are equal."""
    groups: dict[str, list[ReportStage]] = {}
    general = [stage for stage in stages if scores.get(stage.name) and stage.uses not in OWN_TABLES]
    for stage in graph_order(general):
        if stage.uses in SUITES:
            # What was asked, by which rules, and who judged: a table never mixes judges.
            marks = {(score.figure.spec, score.figure.judge) for score in scores[stage.name]}
            about = {name: stage.manifest.parameters.get(name) for name in _ABOUT}
            same = canonical_json([stage.uses, sorted(marks), _data_of(stage), about])
        else:
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
    suite = members[0].uses in SUITES
    # A suite's figures stand in the order of its spec.
    ranked = (
        list(cells)
        if suite
        else sorted(cells, key=lambda key: (metrics.index(key[0]), language_rank(key[1])))
    )
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
            _suite_label(group) if suite else _score_label(metric, group, many=len(metrics) > 1),
            [Cell(cells[(metric, group)].get(stage.name), detail=True) for stage in members],
            indent="/" in group and not suite,
        )
        for metric, group in ranked
    ]
    what = ", ".join(name for _, name, _ in _data_of(members[0])) or members[0].base
    if suite:
        return Table(id, _suite_title(members, scores), _suite_note(members), t("figure"), columns, rows)
    title = t("scores_table", kind=members[0].uses, what=what)
    return Table(id, title, t("scores_note"), t("group"), columns, rows)


def _suite_title(members: list[ReportStage], scores: dict[str, list[Score]]) -> Markup:
    figure = scores[members[0].name][0].figure
    title = Markup("{} · <code>{}</code>").format(members[0].uses, figure.spec)
    return title + Markup(" · {}").format(t("judged_by", judge=figure.judge)) if figure.judge else title


def _suite_note(members: list[ReportStage]) -> Markup:
    folders = " ".join(f"RUN/stages/{stage.name}" for stage in members)
    return t("suite_note", command=f"watari eval report {folders} --out page")


def _suite_label(group: str) -> Markup:
    return t(FIGURE_NAMES[group]) if group in FIGURE_NAMES else Markup("<code>{}</code>").format(group)


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
