"""The flow of a corpus as inline SVG: a stream from top to bottom that each reason takes its part of.

The stream's width and every branch's are the same measure (documents, bytes or tokens). The outermost part of the
stream leaves first, so that no two branches cross; each ends in a line of its own, where it is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from watari.corpus.report import numbers
from watari.corpus.report.flow import Amount, Flow, Loss
from watari.corpus.report.terms import term_svg
from watari.corpus.report.words import LABELS
from watari.pages import svg
from watari.pages.numbers import percent, short
from watari.pages.visible import visible

_LINE = 24.0
_GAP = 4.0
_BEND = 13.0
_START = 22.0


@dataclass(frozen=True)
class Canvas:
    """Sizes of a drawing in user units.

    Args:
        width: Of the whole.
        left: Where the stream begins; step names stand left of it, or above where there is no room.
        stream: The stream's width for all that was read.
        node: Where the branches end.
        letter: About the width of a letter.
        name: The class that shows it on wide or narrow screens.
    """

    width: float
    left: float
    stream: float
    node: float
    letter: float
    name: str


WIDE = Canvas(width=1000, left=180, stream=370, node=650, letter=7.4, name="wide")
NARROW = Canvas(width=420, left=8, stream=120, node=176, letter=8.0, name="narrow")


def sankey_svg(flow: Flow, measure: str, canvas: Canvas, *, labelled_by: str) -> Markup:
    """Return the flow as inline SVG.

    Args:
        flow: The account.
        measure: `documents`, `bytes` or `tokens`.
        canvas: `WIDE` or `NARROW`.
        labelled_by: The id of the heading that says what is shown.
    """
    drawing = _Drawing(flow, measure, canvas)
    body, height = drawing.body()
    return Markup(
        '<svg class="sankey {name}" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{by}" data-measure="{measure}">{body}</svg>'
    ).format(
        name=canvas.name,
        w=svg.number(canvas.width),
        h=svg.number(height),
        by=labelled_by,
        measure=measure,
        body=body,
    )


class _Drawing:
    """One drawing under way: how far down it has come, and how wide the stream still is."""

    def __init__(self, flow: Flow, measure: str, canvas: Canvas) -> None:
        self._flow, self._measure, self._canvas = flow, measure, canvas
        self._total = flow.read.of(measure)
        self._edge: list[str] = []
        self._parts: list[Markup] = []
        self._branches: list[Markup] = []
        self._y = 0.0
        self._right = canvas.left + self._wide(flow.read)

    def _wide(self, amount: Amount) -> float:
        return amount.of(self._measure) / self._total * self._canvas.stream if self._total else 0.0

    def body(self) -> tuple[Markup, float]:
        """Return everything drawn, and its height."""
        canvas = self._canvas
        narrow = canvas.name == "narrow"
        self._y = _START
        self._label(canvas.left, 14, "head", LABELS.t_svg("flow_read"), self._said(self._flow.read))
        for place, step in enumerate(self._flow.steps):
            top = self._y
            self._stream(top, top + (22 if narrow else 6))
            if narrow:
                self._text("step", canvas.node, top + 15, term_svg(step.name, 26))
            else:
                self._text("step", canvas.left - 16, top + 18, term_svg(step.name, 22), "end")
                self._text("soft", canvas.left - 16, top + 34, self._written(step.entering), "end")
            for loss in step.losses:
                self._branch(loss, place)
            least = top + (_LINE + 18 if narrow else 44)
            if not step.losses:
                self._text(
                    "soft",
                    canvas.node + (0 if narrow else 14),
                    top + (33 if narrow else 18),
                    LABELS.t_svg("nothing_dropped"),
                )
            self._stream(self._y, max(self._y + 4, least))
            self._rule(top, place)
        self._stream(self._y, self._y + 16)
        self._label(canvas.left, self._y + 34, "head", LABELS.t_svg("flow_kept"), self._said(self._flow.kept))
        return Markup("").join([*self._branches, self._outline(), *self._parts]), self._y + 46

    def _stream(self, top: float, bottom: float) -> None:
        """Carry the stream on from `top` to `bottom`, as wide as it is now."""
        right = max(self._right, self._canvas.left + 1)
        self._edge.append(f"H{svg.number(right)}V{svg.number(max(bottom, top))}")
        self._y = max(bottom, top)

    def _outline(self) -> Markup:
        """Return the stream as one shape, with a tip at its end."""
        left, width = self._canvas.left, max(self._right - self._canvas.left, 1.0)
        return Markup('<path class="stream" d="M{} {}{}l{} 10L{} {}Z"/>').format(
            svg.number(left),
            svg.number(_START),
            "".join(self._edge),
            svg.number(-width / 2),
            svg.number(left),
            svg.number(self._y),
        )

    def _branch(self, loss: Loss, place: int) -> None:
        """Draw a part of the stream that leaves it to the right, and its name at the end."""
        canvas, top = self._canvas, self._y
        wide = self._wide(loss.amount)
        shown = max(wide, 1.0)
        bend = _BEND
        # The text's line is at least one line high, however thin the branch is.
        height = max(shown, _LINE - _GAP)
        upper = top + bend + max(0.0, (height - shown) / 2 - 4)
        lower = upper + shown
        right, inner = self._right, self._right - wide
        if canvas.node < right + bend + 10:
            bend = max(1.0, canvas.node - right - 10)
        path = (
            f"M{svg.number(right)} {svg.number(upper - bend)}Q{svg.number(right)} {svg.number(upper)} {svg.number(right + bend)} {svg.number(upper)}"
            f"H{svg.number(canvas.node)}V{svg.number(lower)}H{svg.number(right + bend)}"
            f"Q{svg.number(inner)} {svg.number(lower)} {svg.number(inner)} {svg.number(upper - bend)}Z"
        )
        title = f"{visible(loss.step, lines=False)} → {visible(loss.reason, lines=False)}: {self._said(loss.amount)}"
        self._branches.append(
            Markup('<g class="branch c{}"><title>{}</title><path class="flow" d="{}"/>').format(
                place % 8, title, path
            )
        )
        self._branches.append(
            Markup('<rect class="node" x="{}" y="{}" width="5" height="{}"/></g>').format(
                svg.number(canvas.node), svg.number(upper), svg.number(shown)
            )
        )
        # The stream beside the bend: what goes on is its inner part.
        self._stream(top, upper - bend)
        self._right = inner
        middle = (upper + lower) / 2 + 4.5
        self._reason(loss, middle)
        bottom = max(lower, upper + (height + shown) / 2) + _GAP / 2
        self._stream(self._y, bottom)

    def _reason(self, loss: Loss, y: float) -> None:
        canvas = self._canvas
        room = int((canvas.width - canvas.node - 14) / canvas.letter)
        number = self._written(loss.amount)
        share = percent(loss.amount.of(self._measure) / self._total) if self._total else "–"
        if canvas.name == "narrow":
            number, share = share, ""
        name = term_svg(loss.reason, max(6, room - len(number) - len(share) - 4))
        said = Markup('<tspan class="name">{}</tspan><tspan dx="9">{}</tspan>').format(name, number)
        if share:
            said += Markup('<tspan class="share" dx="9">{}</tspan>').format(share)
        self._text("reason", canvas.node + 14, y, said)

    def _rule(self, y: float, place: int) -> None:
        if place or self._canvas.name == "narrow":
            self._branches.append(svg.level("rule", 0, self._canvas.width, y))

    def _label(self, x: float, y: float, kind: str, words: Markup, said: str) -> None:
        self._parts.append(
            Markup('<text class="{}" x="{}" y="{}">{} <tspan class="name">{}</tspan></text>').format(
                kind, svg.number(x), svg.number(y), words, said
            )
        )

    def _text(self, kind: str, x: float, y: float, said: str | Markup, anchor: str = "start") -> None:
        self._parts.append(svg.text(kind, x, y, said, anchor))

    def _written(self, amount: Amount) -> str:
        return written(amount, self._measure)

    def _said(self, amount: Amount) -> str:
        share = percent(amount.of(self._measure) / self._total) if self._total else "–"
        return f"{self._written(amount)} ({share})"


def written(amount: Amount, measure: str) -> str:
    """Return an amount in a measure: grouped documents, bytes with a unit, about so many tokens."""
    value = amount.of(measure)
    if measure == "bytes":
        return numbers.size(value)
    if measure == "tokens":
        return f"~{short(value)}" if value else "0"
    return f"{round(value):,}" if value < 1e9 else short(value)
