"""The tables: scores, data, tokenizers, models, training, preferences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from watari.artifact.kinds import Kind
from watari.pages.labels import language_name
from watari.report.cards import characters_per_token, language_rank
from watari.report.figures import Figure, Figures, Origin, Score, number, pointer
from watari.report.made import made_table
from watari.report.numbers import link, size
from watari.report.scores import score_tables
from watari.report.stages import ReportStage
from watari.report.table import Cell, Column, Row, Table, trimmed, two_lines
from watari.report.words import t

_ROW_KINDS = (Kind.DOCUMENTS, Kind.TOKENS, Kind.CONVERSATIONS, Kind.PREFERENCES)


def tables_of(stages: Sequence[ReportStage], scores: dict[str, list[Score]], figures: Figures) -> list[Table]:
    """Return every table that has something to show."""
    tables = [
        *score_tables(stages, scores),
        _data_table(stages, figures),
        made_table(stages, figures),
        _tokenizer_table(stages, figures),
        _model_table(stages, figures),
        _train_table(stages, figures),
        _preference_table(stages, figures),
    ]
    return [table for table in tables if table is not None and table.rows]


def _data_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    for stage in stages:
        if stage.manifest.kind not in _ROW_KINDS and "rows_in" not in stage.manifest.metrics:
            continue
        rows_in = _first(figures, stage, ("rows_in",))
        kept = _first(figures, stage, ("kept",), ("documents",))
        dropped = _first(figures, stage, ("dropped",))
        reasons = [
            figure
            for reason in _map(stage, "dropped_by_reason")
            if (figure := figures.metric(stage, "dropped_by_reason", reason, group=reason)) is not None
        ]
        tokens = _first(figures, stage, ("tokens",)) if stage.manifest.kind == Kind.TOKENS else None
        cells = [
            Cell(rows_in),
            Cell(kept),
            Cell(dropped),
            Cell(markup=_list([(Markup.escape(figure.group), figure) for figure in reasons])),
            Cell(tokens),
            Cell(markup=_by_language(figures, stage, "rows", "documents", "")),
            Cell(markup=_by_language(figures, stage, "characters")),
        ]
        if any(cell.figure or cell.markup for cell in cells):
            rows.append(_stage_row(stage, cells))
    columns = [
        Column(t("rows_in")),
        Column(t("kept")),
        Column(t("dropped")),
        Column(t("dropped_by_reason"), words=True),
        Column(t("tokens")),
        Column(t("rows_by_language"), words=True),
        Column(t("characters_by_language"), words=True),
    ]
    return trimmed(Table("data", t("data_table"), t("data_note"), t("stage"), columns, rows))


def _by_language(figures: Figures, stage: ReportStage, *names: str) -> Markup:
    """Return the figures under `languages` / language / the first of `names` there is; "" is the language itself."""
    items = []
    for language in sorted(_map(stage, "languages"), key=language_rank):
        for name in names:
            path = ("languages", language, *([name] if name else []))
            figure = figures.metric(stage, *path, name=name or "rows", group=language)
            if figure is not None:
                items.append((language_name(language), figure))
                break
    return _list(items)


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
            Cell(figures.metric(stage, "vocabulary_before")),
            Cell(figures.metric(stage, "vocabulary")),
            Cell(figures.metric(stage, "added")),
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
    return trimmed(Table("tokenizers", t("tokenizer_table"), note, t("stage"), columns, rows))


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

        total = figures.metric(stage, "parameters")
        cells = [
            Cell(total),
            Cell(shape("vocab_size")),
            Cell(shape("num_hidden_layers")),
            Cell(shape("hidden_size")),
            Cell(shape("num_attention_heads")),
            Cell(shape("max_position_embeddings")),
            Cell(markup=_weight(stage, figures)),
        ]
        if any(cell.figure or cell.markup for cell in cells):
            rows.append(_stage_row(stage, cells))
    names = ("parameters", "vocabulary", "layers", "hidden", "heads", "context", "size")
    columns = [Column(t(name)) for name in names]
    return trimmed(Table("models", t("model_table"), Markup(), t("stage"), columns, rows))


def _weight(stage: ReportStage, figures: Figures) -> Markup:
    """Return the size of the weights; that of several shards is a sum of figures."""
    shards = tuple(
        figures.add("bytes", entry.size, Origin(stage, pointer("files", str(place), "size")))
        for place, entry in enumerate(stage.manifest.files)
        if entry.path.endswith(".safetensors")
    )
    if not shards:
        return Markup()
    total = sum(int(shard.value) for shard in shards)
    if len(shards) == 1:
        return link(shards[0], size(total))
    how = " + ".join(shard.id for shard in shards)
    return link(figures.derive("bytes", total, how, shards), size(total))


def _train_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    rows = []
    for stage in stages:
        if not stage.uses.startswith("train."):
            continue
        cells = [
            Cell(figures.metric(stage, "steps")),
            Cell(figures.metric(stage, "tokens")),
            Cell(_first(figures, stage, ("conversations",), ("kept",))),
            Cell(figures.parameter(stage, "lr")),
            Cell(figures.metric(stage, "first_loss")),
            Cell(figures.metric(stage, "last_loss")),
            Cell(_above_zero(figures.metric(stage, "spikes"))),
            Cell(_above_zero(figures.metric(stage, "skipped_steps"))),
        ]
        if any(cell.figure for cell in cells):
            rows.append(_stage_row(stage, cells))
    names = (
        "steps",
        "train_tokens",
        "rows_seen",
        "lr",
        "first_loss",
        "final_loss",
        "spikes",
        "skipped_steps",
    )
    columns = [Column(t(name)) for name in names]
    return trimmed(Table("training", t("train_table"), Markup(), t("stage"), columns, rows))


def _preference_table(stages: Sequence[ReportStage], figures: Figures) -> Table:
    """DPO's agreement with its pairs, before and after, on those that it trained on and those held back."""
    rows = []
    for stage in stages:
        if stage.uses != "train.dpo":
            continue
        for part in ("holdout", "train"):
            cells = [
                Cell(figures.metric(stage, when, part, name, name=name, group=part))
                for name, when in (
                    ("pairs", "after"),
                    ("reward_accuracy", "after"),
                    ("likelihood_accuracy", "before"),
                    ("likelihood_accuracy", "after"),
                    ("margin", "after"),
                    ("loss", "before"),
                    ("loss", "after"),
                )
            ]
            if any(cell.figure for cell in cells):
                label = Markup("{} · {}").format(two_lines(stage.name), t(f"pairs_{part}"))
                rows.append(Row(label, cells, stage.anchor))
    columns = [
        Column(t("pairs")),
        Column(t("reward_accuracy")),
        *(Column(t("likelihood_accuracy", when=t(when))) for when in ("before", "after")),
        Column(t("margin")),
        *(Column(t("loss_when", when=t(when))) for when in ("before", "after")),
    ]
    return trimmed(
        Table("preferences", t("preference_table"), t("preference_note"), t("stage"), columns, rows)
    )


def _first(figures: Figures, stage: ReportStage, *paths: tuple[str, ...]) -> Figure | None:
    return next((figure for path in paths if (figure := figures.metric(stage, *path)) is not None), None)


def _above_zero(figure: Figure | None) -> Figure | None:
    """Return a count that there is something to say of."""
    return figure if figure is not None and figure.value > 0 else None


def _map(stage: ReportStage, name: str) -> dict[str, Any]:
    value = stage.manifest.metrics.get(name)
    return value if isinstance(value, dict) else {}


def _stage_row(stage: ReportStage, cells: list[Cell]) -> Row:
    return Row(two_lines(stage.name), cells, stage.anchor)


def _list(items: Sequence[tuple[Markup, Figure]]) -> Markup:
    return Markup("").join(
        Markup('<span class="pair"><span>{}</span> {}</span>').format(label, link(figure))
        for label, figure in items
    )


def _config(stage: ReportStage) -> dict[str, Any]:
    path = stage.path / "config.json"
    if not path.is_file():
        return {}
    config = json.loads(path.read_text("utf-8"))
    return config if isinstance(config, dict) else {}
