"""The headline: one card for each figure that the run was made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from watari.artifact.kinds import Kind
from watari.pages.labels import language_name
from watari.report.figures import SUITES, Figure, Figures, Origin, Score, dig, number, pointer
from watari.report.stages import ReportStage, graph_order
from watari.report.words import FIGURE_NAMES, t
from watari.stats.intervals import wilson


@dataclass(frozen=True)
class CardRow:
    """One line of a card: a stage, its figure, and the figure before, if the stage itself changed it."""

    label: str
    stage: ReportStage
    figure: Figure
    before: Figure | None = None


@dataclass(frozen=True)
class Card:
    """One headline card.

    Args:
        rows: The last row's figure is the large one.
        ratio: After / before, if the card is about such a change.
        low, high: The ends of its little axis.
        last: True if it belongs after the others where all stand in one column.
    """

    title: Markup
    about: Markup | None
    note: Markup
    rows: list[CardRow]
    ratio: Figure | None = None
    low: float = 0.0
    high: float = 1.0
    last: bool = False

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
    """Return the characters per token that a tokenizer stage measured, by language, new language first.

    Held-back documents count where there are any, else those that it was trained on. A tokenizer without
    figures by language gives one pair with an empty group.
    """
    root = "characters_per_token"
    path = next(
        (
            (root, *part)
            for part in (("held_out",), ("train",), ())
            if isinstance(dig(stage.manifest.metrics, (root, *part)), dict)
        ),
        None,
    )
    if path is None:
        return []
    languages = dig(stage.manifest.metrics, (*path, "by_language"))
    groups = (
        {name: (*path, "by_language", name) for name in languages}
        if isinstance(languages, dict)
        else {"": path}
    )
    found = []
    for group, place in groups.items():
        before = figures.metric(stage, *place, "before", name=root, group=group)
        after = figures.metric(stage, *place, "after", name=root, group=group)
        if before and after:
            found.append(BeforeAfter(group, before, after))
    return sorted(found, key=lambda pair: language_rank(pair.group))


def cards_of(
    stages: Sequence[ReportStage], scores: dict[str, list[Score]], figures: Figures
) -> list[list[Card]]:
    """Return the headline cards in columns: tokenizer and preferences (short cards), bits, exact match."""
    columns = [
        [*_token_cards(stages, figures), *_preference_cards(stages, figures)],
        _score_cards(stages, scores, "eval.perplexity", "bits_per_character"),
        _score_cards(stages, scores, "eval.exact", "exact_match"),
        _suite_cards(stages, scores),
    ]
    return [column for column in columns if column]


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


def _suite_cards(stages: Sequence[ReportStage], scores: dict[str, list[Score]]) -> list[Card]:
    """One card for each spec and judge with the figure that the spec calls its result, the first; one row a model."""
    suites: dict[tuple[str, str, str], list[CardRow]] = {}
    for stage in graph_order([stage for stage in stages if stage.uses in SUITES and scores.get(stage.name)]):
        figure = scores[stage.name][0].figure
        row = CardRow(stage.subject.name, stage, figure)
        suites.setdefault((figure.spec, figure.judge, figure.group), []).append(row)
    cards = []
    for (spec, judge, name), rows in suites.items():
        if len({row.label for row in rows}) < len(rows):
            rows = [CardRow(row.stage.name, row.stage, row.figure) for row in rows]
        top = max(max(row.figure.value, row.figure.high or 0) for row in rows)
        high = next((scale for scale in (1.0, 10.0, 100.0) if top <= scale), top * 1.05)
        title = Markup("<code>{}</code>").format(spec)
        note = t("judged_by", judge=judge) if judge else t("suite_card_note")
        shown = t(FIGURE_NAMES[name]) if name in FIGURE_NAMES else Markup.escape(name)
        cards.append(Card(title, shown, note, rows, None, 0.0, high))
    return cards


def _preference_cards(stages: Sequence[ReportStage], figures: Figures) -> list[Card]:
    """One card with a row for each DPO stage: reward accuracy after training, on held-back pairs if it kept any."""
    rows = []
    parts = set()
    for stage in graph_order([stage for stage in stages if stage.uses == "train.dpo"]):
        for part in ("holdout", "train"):
            path = ("after", part, "reward_accuracy")
            value = number(dig(stage.manifest.metrics, path))
            n = dig(stage.manifest.metrics, ("after", part, "pairs"))
            if value is None or not isinstance(n, int) or n < 1:
                continue
            # A tie counts a half; Wilson's interval is over whole successes.
            estimate = wilson(round(value * n), n)
            figure = figures.add(
                "preference_accuracy",
                value,
                Origin(stage, pointer("metrics", *path)),
                group=part,
                n=n,
                low=estimate.low,
                high=estimate.high,
                interval="Wilson's score interval of value and n",
            )
            rows.append(CardRow(stage.name, stage, figure))
            parts.add(part)
            break
    if not rows:
        return []
    note = t("preference_accuracy_note" if parts == {"holdout"} else "preference_accuracy_train_note")
    return [Card(t("preference_accuracy"), None, note, rows, last=True)]
