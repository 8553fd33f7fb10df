"""The headline: one card for each figure that the run was made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from watari.artifact.kinds import Kind
from watari.report.figures import Figure, Figures, Origin, Score, dig, number, pointer
from watari.report.stages import ReportStage, graph_order
from watari.report.words import language_name, t
from watari.stats.intervals import wilson

_BEFORE = ("before", "base", "old")
_AFTER = ("after", "extended", "new")


@dataclass(frozen=True)
class CardRow:
    """One line of a card: a stage, its figure, and the figure before, if the stage itself changed it."""

    label: str
    stage: ReportStage
    figure: Figure
    before: Figure | None = None


@dataclass(frozen=True)
class Card:
    """One headline card. The last row's figure is the large one; `low` and `high` are the ends of its little axis."""

    title: Markup
    about: Markup | None
    note: Markup
    rows: list[CardRow]
    ratio: Figure | None = None
    low: float = 0.0
    high: float = 1.0

    @property
    def main(self) -> CardRow:
        """The row that is shown large."""
        return self.rows[-1]

    def at(self, value: float) -> float:
        """Return where a value stands on the card's axis, in percent of its width."""
        span = self.high - self.low
        return round(100 * min(1.0, max(0.0, (value - self.low) / span)) if span else 50.0, 1)


@dataclass(frozen=True)
class BeforeAfter:
    """Characters per token of one language, before and after the vocabulary grew."""

    group: str
    before: Figure
    after: Figure


@dataclass
class _Series:
    rows: list[CardRow] = field(default_factory=list)


def language_rank(group: str) -> tuple[bool, str]:
    """Sort key: the language that the base knows (English) last, so that the new language stands first."""
    return group.partition("/")[0] == "en", group


def characters_per_token(stage: ReportStage, figures: Figures) -> list[BeforeAfter]:
    """Return the characters per token that a `tokenizer.extend` measured, by language, new language first.

    Read are maps language → {before, after} and {before, after} → language below
    `characters_per_token` in the metrics.
    """
    found = []
    root = "characters_per_token"
    table = stage.manifest.metrics.get(root)
    if not isinstance(table, dict):
        return []
    first = next((key for key in _BEFORE if isinstance(table.get(key), dict)), None)
    second = next((key for key in _AFTER if isinstance(table.get(key), dict)), None)
    if first and second:
        groups = [(group, (first, group), (second, group)) for group in table[second]]
    else:
        groups = [
            (group, (group, one), (group, two))
            for group, value in table.items()
            if isinstance(value, dict)
            for one in _BEFORE
            for two in _AFTER
            if one in value and two in value
        ]
    for group, one_path, two_path in groups:
        before = figures.metric(stage, root, *one_path, name=root, group=group)
        after = figures.metric(stage, root, *two_path, name=root, group=group)
        if before and after:
            found.append(BeforeAfter(group, before, after))
    return sorted(found, key=lambda pair: language_rank(pair.group))


def cards_of(
    stages: Sequence[ReportStage], scores: dict[str, list[Score]], figures: Figures
) -> list[Card]:
    """Return the headline cards, in the order in which the run's work is done."""
    return [
        *_token_cards(stages, figures),
        *_score_cards(stages, scores, "eval.perplexity", "bits_per_character"),
        *_score_cards(stages, scores, "eval.exact", "exact_match"),
        *_preference_cards(stages, figures),
    ]


def _token_cards(stages: Sequence[ReportStage], figures: Figures) -> list[Card]:
    by_language: dict[str, _Series] = {}
    for stage in stages:
        if stage.manifest.kind != Kind.TOKENIZER:
            continue
        for pair in characters_per_token(stage, figures):
            row = CardRow(stage.name, stage, pair.after, pair.before)
            by_language.setdefault(pair.group, _Series()).rows.append(row)
    cards = []
    for group, series in by_language.items():
        main = series.rows[-1]
        ratio = None
        if main.before and main.before.value:
            ratio = figures.derive(
                "characters_per_token_ratio",
                main.figure.value / main.before.value,
                f"{main.figure.id} / {main.before.id}",
                (main.figure, main.before),
            )
        high = max(max(row.figure.value, row.before.value if row.before else 0) for row in series.rows)
        title, note = t("characters_per_token"), t("characters_per_token_note")
        cards.append(Card(title, language_name(group), note, series.rows, ratio, 0.0, high * 1.05))
    return cards


def _score_cards(
    stages: Sequence[ReportStage], scores: dict[str, list[Score]], uses: str, metric: str
) -> list[Card]:
    """One card a language, one row an evaluated model."""
    by_language: dict[str, _Series] = {}
    for stage in graph_order([stage for stage in stages if stage.uses == uses]):
        for score in scores.get(stage.name, []):
            if score.metric == metric and score.group and "/" not in score.group and score.group != "all":
                row = CardRow(stage.subject.name, stage, score.figure)
                by_language.setdefault(score.group, _Series()).rows.append(row)
    cards = []
    for group in sorted(by_language, key=language_rank):
        rows = by_language[group].rows
        if len({row.label for row in rows}) < len(rows):
            # One model judged on several sets: the evaluation's own name tells them apart.
            rows = [CardRow(row.stage.name, row.stage, row.figure) for row in rows]
        top = max(max(row.figure.value, row.figure.high or 0) for row in rows)
        high = 1.0 if metric == "exact_match" else top * 1.05
        cards.append(Card(t(metric), language_name(group), t(f"{metric}_note"), rows, None, 0.0, high))
    return cards


def _preference_cards(stages: Sequence[ReportStage], figures: Figures) -> list[Card]:
    rows = []
    held_back = True
    for stage in graph_order([stage for stage in stages if stage.uses == "train.dpo"]):
        found = _accuracy(stage, figures)
        if found is not None:
            figure, on_held_back = found
            held_back = held_back and on_held_back
            rows.append(CardRow(stage.name, stage, figure))
    if not rows:
        return []
    note = t("preference_accuracy_note" if held_back else "preference_accuracy_train_note")
    return [Card(t("preference_accuracy"), None, note, rows)]


def _accuracy(stage: ReportStage, figures: Figures) -> tuple[Figure, bool] | None:
    """Return the preference accuracy that a DPO stage states, and whether it is over held-back pairs."""
    metrics = stage.manifest.metrics
    for path, held_back in _ACCURACIES:
        value = number(dig(metrics, path))
        if value is None:
            continue
        beside: dict[str, Any] = dig(metrics, path[:-1]) if path[:-1] else metrics
        n = next((beside[key] for key in ("n", "pairs", "eval_pairs") if isinstance(beside.get(key), int)), None)
        low, high = number(beside.get("ci_low")), number(beside.get("ci_high"))
        if low is None and n:
            estimate = wilson(round(value * n), n)
            low, high = estimate.low, estimate.high
        origin = Origin(stage, pointer("metrics", *path))
        return figures.add("preference_accuracy", value, origin, n=n, low=low, high=high), held_back
    return None


_ACCURACIES: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("eval", "preference_accuracy"), True),
    (("eval", "accuracy"), True),
    (("held_out", "accuracy"), True),
    (("eval_accuracy",), True),
    (("preference_accuracy",), True),
    (("train", "accuracy"), False),
    (("accuracy",), False),
)
