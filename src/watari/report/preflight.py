"""What a training stage found before its first step (`preflight.json`), for the stage's section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup

from watari.report.figures import Figure, Figures, dig, read_object
from watari.report.numbers import link
from watari.report.stages import ReportStage
from watari.report.words import t

REPORT = "preflight.json"
_DATA = (
    "rows_in",
    "rows_kept",
    "sequences",
    "tokens",
    "trained_tokens",
    "trained_share",
    "longest",
)
_MARKS = ("bos_missing", "bos_doubled", "end_trained")


@dataclass(frozen=True)
class Line:
    """One line of the summary."""

    label: Markup
    value: Markup


@dataclass(frozen=True)
class Summary:
    """A stage's preflight in short.

    Args:
        headline: The most telling of it, on one line.
        lines: The figures.
        warnings: In words, as the stage wrote them (English).
    """

    headline: list[Markup]
    lines: list[Line]
    warnings: list[str]


class _Finder(Protocol):
    """Returns the figure at a place of the report, if there is a number."""

    def __call__(self, *place: str, name: str | None = None, group: str = "") -> Figure | None: ...


def preflight_of(stage: ReportStage, figures: Figures) -> Summary | None:
    """Return the summary of a stage's preflight, or None if it has none.

    Raises:
        UserError: if the file cannot be read.
    """
    path = stage.path / REPORT
    if not stage.uses.startswith("train.") or not path.is_file():
        return None
    content = read_object(path)

    def figure(*place: str, name: str | None = None, group: str = "") -> Figure | None:
        return figures.stored(stage, REPORT, content, *place, name=name, group=group)

    lines = []
    for name in _DATA:
        if found := figure("data", name):
            lines.append(Line(t(f"preflight_{name}"), link(found)))
        if name == "rows_kept":
            lines += _dropped(content, figure)
    if waste := figure("data", "packing", "waste", name="packing_waste_share"):
        lines.append(Line(t("preflight_waste"), link(waste)))
    for name in _MARKS:
        if found := figure("marks", name):
            lines.append(Line(t(f"preflight_{name}"), link(found)))
    lines += _norms(content, figure)
    loss, guess = figure("trial", "loss"), figure("trial", "expected")
    if loss:
        lines.append(Line(t("preflight_trial"), link(loss)))
    if guess:
        lines.append(Line(t("preflight_guess"), link(guess)))
    said = content.get("warnings")
    warnings = [str(warning) for warning in said] if isinstance(said, list) else []
    share = figure("data", "trained_share")
    headline = [t("preflight_trained", share=link(share))] if share else []
    headline.append(t("preflight_warned", n=len(warnings)) if warnings else t("preflight_calm"))
    return Summary(headline, lines, warnings)


def _norms(content: dict[str, Any], figure: _Finder) -> list[Line]:
    """Return the median norms of the rows that a graft added and of the old ones, by table."""
    lines = []
    tables = content.get("new_rows")
    for place, table in enumerate(tables if isinstance(tables, list) else ()):
        name = str(table.get("table", "")) if isinstance(table, dict) else ""
        for rows in ("new", "old"):
            if found := figure("new_rows", str(place), rows, "p50", name="norm", group=f"{name}, {rows}"):
                lines.append(Line(t(f"preflight_norm_{rows}", table=name), link(found)))
    return lines


def _dropped(content: dict[str, Any], figure: _Finder) -> list[Line]:
    reasons = dig(content, ("data", "dropped"))
    lines = []
    for reason in reasons if isinstance(reasons, dict) else ():
        if found := figure("data", "dropped", reason, name="dropped", group=reason):
            lines.append(Line(t("preflight_dropped", reason=reason), link(found)))
    return lines
