"""The tables: scores side by side over models, data, tokenizers, models, training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from watari.artifact.hashing import canonical_json
from watari.artifact.kinds import Kind
from watari.report.cards import characters_per_token, language_rank
from watari.report.figures import Figure, Figures, Origin, Score, dig, number, pointer
from watari.report.numbers import link, size
from watari.report.stages import ReportStage, graph_order
from watari.report.words import WORDS, language_name, t

_ROW_KINDS = (Kind.DOCUMENTS, Kind.TOKENS, Kind.CONVERSATIONS, Kind.PREFERENCES)


@dataclass(frozen=True)
class Cell:
    """One cell: a figure (`detail` shows its interval, n and invalid answers below it), or markup."""

    figure: Figure | None = None
    markup: Markup = field(default_factory=Markup)
    detail: bool = False


@dataclass(frozen=True)
class Column:
    """A column's heading, and the anchor of the stage that it is about."""

    label: Markup
    anchor: str = ""
    words: bool = False


@dataclass(frozen=True)
class Row:
    """A row's heading, and the anchor of the stage that it is about."""

    label: Markup
    cells: list[Cell]
    anchor: str = ""
    indent: bool = False


@dataclass(frozen=True)
class Table:
    """One table; `corner` stands over the row headings."""

    id: str
    title: Markup
    note: Markup
    corner: Markup
    columns: list[Column]
    rows: list[Row]


def tables_of(
    stages: Sequence[ReportStage], scores: dict[str, list[Score]], figures: Figures
) -> list[Table]:
    """Return every table that has something to show."""
    tables = [
        *_score_tables(stages, scores),
        _data_table(stages, figures),
        _tokenizer_table(stages, figures),
        _model_table(stages, figures),
        _train_table(stages, figures),
    ]
    return [table for table in tables if table is not None and table.rows]


def _score_tables(stages: Sequence[ReportStage], scores: dict[str, list[Score]]) -> list[Table]:
    """One table for the evaluations that ask the same of different models: kind, parameters and data are equal."""
    groups: dict[str, list[ReportStage]] = {}
    for stage in graph_order([stage for stage in stages if scores.get(stage.name)]):
        data = [
            [source.parameter, source.name.partition("@")[0], source.selection]
            for source in stage.sources
            if source.kind != Kind.MODEL
        ]
        same = canonical_json([stage.uses, data, stage.manifest.parameters, stage.manifest.seed])
        groups.setdefault(same, []).append(stage)
    tables = []
    for place, members in enumerate(groups.values(), 1):
        cells: dict[tuple[str, str], dict[str, Figure]] = {}
        for stage in members:
            for score in scores[stage.name]:
                cells.setdefault((score.metric, score.group), {})[stage.name] = score.figure
        metrics = list(dict.fromkeys(metric for metric, _ in cells))
        ranked = sorted(cells, key=lambda key: (metrics.index(key[0]), language_rank(key[1])))
        subjects = [stage.subject.name for stage in members]
        alone = len(set(subjects)) == len(subjects)
        columns = [
            Column(Markup.escape(stage.subject.name if alone else stage.name), stage.anchor)
            for stage in members
        ]
        rows = [
            Row(
                _score_label(metric, group, many=len(metrics) > 1),
                [Cell(cells[(metric, group)].get(stage.name), detail=True) for stage in members],
                indent="/" in group,
            )
            for metric, group in ranked
        ]
        sets = list(
            dict.fromkeys(
                source.name.partition("@")[0] for source in members[0].sources if source.kind != Kind.MODEL
            )
        )
        what = ", ".join(sets) or members[0].base
        title = t("scores_table", kind=members[0].uses, what=what)
        tables.append(Table(f"scores{place}", title, t("scores_note"), t("group"), columns, rows))
    return tables


def _score_label(metric: str, group: str, *, many: bool) -> Markup:
    language, _, task = group.partition("/")
    name = Markup("{} / {}").format(language_name(language), task) if task else language_name(language)
    if not group or group == "all":
        name = t("all_groups")
    head = t(metric) if metric in WORDS else Markup("<code>{}</code>").format(metric)
    return Markup("{} · {}").format(head, name) if many else name


def _data_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    for stage in stages:
        if stage.manifest.kind not in _ROW_KINDS:
            continue
        rows_in = _first(figures, stage, ("rows_in",))
        kept = _first(figures, stage, ("kept",), ("rows",), ("documents",), ("conversations",), ("pairs",))
        dropped = _first(figures, stage, ("dropped",))
        reasons = [
            figure
            for reason in _map(stage, "dropped_by_reason")
            if (figure := figures.metric(stage, "dropped_by_reason", reason, group=reason)) is not None
        ]
        characters = _first(figures, stage, ("characters",), ("characters", "total"))
        tokens = _first(figures, stage, ("tokens",), ("tokens", "total"))
        languages = _by_language(figures, stage)
        cells = [
            Cell(rows_in),
            Cell(kept),
            Cell(dropped),
            Cell(markup=_list([(Markup.escape(figure.group), figure) for figure in reasons])),
            Cell(characters),
            Cell(tokens),
            Cell(markup=_list([(language_name(figure.group), figure) for figure in languages])),
        ]
        if any(cell.figure or cell.markup for cell in cells):
            rows.append(_stage_row(stage, cells))
    columns = [
        Column(t("rows_in")),
        Column(t("kept")),
        Column(t("dropped")),
        Column(t("dropped_by_reason"), words=True),
        Column(t("characters")),
        Column(t("tokens")),
        Column(t("by_language"), words=True),
    ]
    return _trimmed(Table("data", t("data_table"), t("data_note"), t("stage"), columns, rows))


def _by_language(figures: Figures, stage: ReportStage) -> list[Figure]:
    for path in (
        ("by_language",),
        ("rows_by_language",),
        ("documents_by_language",),
        ("languages",),
        ("kept_by_language",),
    ):
        table = dig(stage.manifest.metrics, path)
        if not isinstance(table, dict):
            continue
        found = []
        for language, value in table.items():
            inner = next((key for key in ("rows", "kept", "documents") if isinstance(value, dict) and key in value), None)
            where = (*path, str(language), *([inner] if inner else []))
            figure = figures.metric(stage, *where, name="rows", group=str(language))
            if figure is not None:
                found.append(figure)
        if found:
            return found
    return []


def _tokenizer_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    groups: list[str] = []
    for stage in stages:
        if stage.manifest.kind == Kind.TOKENIZER:
            groups += [pair.group for pair in characters_per_token(stage, figures)]
    groups = sorted(dict.fromkeys(groups), key=language_rank)
    for stage in stages:
        if stage.manifest.kind != Kind.TOKENIZER:
            continue
        pairs = {pair.group: pair for pair in characters_per_token(stage, figures)}
        cells = [
            Cell(_first(figures, stage, ("vocabulary_before",), ("vocabulary", "before"), ("base_vocabulary",), ("vocab_size_before",))),
            Cell(_first(figures, stage, ("vocabulary_after",), ("vocabulary", "after"), ("vocabulary",), ("vocab_size_after",), ("vocab_size",))),
            Cell(_first(figures, stage, ("added",), ("tokens_added",), ("added_tokens",))),
        ]
        for group in groups:
            pair = pairs.get(group)
            cells += [Cell(pair.before if pair else None), Cell(pair.after if pair else None)]
        rows.append(_stage_row(stage, cells))
    columns = [Column(t("vocabulary_before")), Column(t("vocabulary_after")), Column(t("added"))]
    for group in groups:
        columns += [
            Column(Markup("{} · {}").format(language_name(group), t(when))) for when in ("before", "after")
        ]
    note = t("characters_per_token_note")
    return _trimmed(Table("tokenizers", t("tokenizer_table"), note, t("stage"), columns, rows))


def _model_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    for stage in stages:
        if stage.manifest.kind != Kind.MODEL:
            continue
        config = _config(stage)

        def shape(*keys: str, config: dict[str, Any] = config, stage: ReportStage = stage) -> Figure | None:
            for key in keys:
                value = number(config.get(key))
                if value is not None:
                    return figures.add(key, value, Origin(stage, pointer(key), file="config.json"))
            return None

        total = _first(figures, stage, ("parameters",), ("parameters", "total"), ("parameter_count",), ("params",))
        weight = sum(entry.size for entry in stage.manifest.files if entry.path.endswith(".safetensors"))
        cells = [
            Cell(total),
            Cell(shape("vocab_size")),
            Cell(shape("num_hidden_layers")),
            Cell(shape("hidden_size")),
            Cell(shape("num_attention_heads")),
            Cell(shape("max_position_embeddings")),
            Cell(markup=Markup.escape(size(weight)) if weight else Markup()),
        ]
        if any(cell.figure or cell.markup for cell in cells):
            rows.append(_stage_row(stage, cells))
    names = ("parameters", "vocabulary", "layers", "hidden", "heads", "context", "size")
    columns = [Column(t(name)) for name in names]
    return _trimmed(Table("models", t("model_table"), Markup(), t("stage"), columns, rows))


def _train_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    for stage in stages:
        if not stage.uses.startswith("train."):
            continue
        lr = figures.parameter(stage, "lr") or figures.parameter(stage, "learning_rate")
        cells = [
            Cell(_first(figures, stage, ("steps",))),
            Cell(_first(figures, stage, ("tokens",), ("tokens_seen",), ("tokens", "total"))),
            Cell(_first(figures, stage, ("rows",), ("examples",), ("conversations",), ("pairs",))),
            Cell(lr),
            Cell(_first(figures, stage, ("final_loss",), ("loss_final",), ("loss_last",), ("loss", "last"), ("loss",))),
        ]
        if any(cell.figure for cell in cells):
            rows.append(_stage_row(stage, cells))
    columns = [Column(t(name)) for name in ("steps", "train_tokens", "rows_seen", "lr", "final_loss")]
    return _trimmed(Table("training", t("train_table"), Markup(), t("stage"), columns, rows))


def _first(figures: Figures, stage: ReportStage, *paths: tuple[str, ...]) -> Figure | None:
    return next((figure for path in paths if (figure := figures.metric(stage, *path)) is not None), None)


def _map(stage: ReportStage, name: str) -> dict[str, Any]:
    value = stage.manifest.metrics.get(name)
    return value if isinstance(value, dict) else {}


def _stage_row(stage: ReportStage, cells: list[Cell]) -> Row:
    return Row(Markup.escape(stage.name), cells, stage.anchor)


def _list(items: Sequence[tuple[Markup, Figure]]) -> Markup:
    return Markup("").join(
        Markup('<span class="pair"><span>{}</span> {}</span>').format(label, link(figure)) for label, figure in items
    )


def _config(stage: ReportStage) -> dict[str, Any]:
    path = stage.path / "config.json"
    if not path.is_file():
        return {}
    config = json.loads(path.read_text("utf-8"))
    return config if isinstance(config, dict) else {}


def _trimmed(table: Table) -> Table:
    """Return the table without the columns that no row fills."""
    used = [
        place
        for place in range(len(table.columns))
        if any(row.cells[place].figure or row.cells[place].markup for row in table.rows)
    ]
    return Table(
        table.id,
        table.title,
        table.note,
        table.corner,
        [table.columns[place] for place in used],
        [Row(row.label, [row.cells[place] for place in used], row.anchor, row.indent) for row in table.rows],
    )
