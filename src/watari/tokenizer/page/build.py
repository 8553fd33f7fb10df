"""Assembles the page: one HTML file with everything in it, which no text and no vocabulary can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.languages import load_language
from watari.pages.numbers import percent, short, whole
from watari.pages.page import Template
from watari.pages.visible import visible
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.page.curves import gain_charts, size_rows
from watari.tokenizer.page.gain import learning_of, measure_sizes, sizes_up_to
from watari.tokenizer.page.nested import Nested
from watari.tokenizer.page.pieces import (
    NewPiece,
    commonest,
    groups,
    lengths,
    longest,
    new_pieces,
    rarest,
)
from watari.tokenizer.page.samples import Sample, samples_for
from watari.tokenizer.page.segments import Segment, segments
from watari.tokenizer.page.suspicious import REASONS, Suspicion, suspicious
from watari.tokenizer.page.words import LABELS
from watari.tokenizer.texts import Text

HIDDEN = (4096,)
"""Hidden size of a 7B Llama or Mistral."""
RARE = 10
_SHOWN = 40


@dataclass(frozen=True)
class Cut:
    """A text as the base and as the extended tokenizer cut it.

    Args:
        sample: The text.
        base: Its tokens before.
        extended: Its tokens after.
        counts: Tokens (before, after).
        same: True if the ids are the same.
    """

    sample: Sample
    base: list[Segment]
    extended: list[Segment]
    counts: tuple[int, int]
    same: bool


def build(
    nested: Nested,
    texts: Sequence[Text] = (),
    *,
    title: str = "",
    hidden: Sequence[int] = HIDDEN,
    seed: int = 0,
) -> str:
    """Return the page of an extended tokenizer. The same files give the same text: no times, no places on a disk.

    Args:
        nested: The tokenizer.
        texts: Documents to measure and to cut, by source; the best are those that nothing was learned from.
        title: Shown above everything.
        hidden: Sizes of a model's hidden layer, for the cost in parameters.
        seed: Of draws and the bootstrap.
    """
    graft = nested.graft
    sizes = sizes_up_to(len(nested))
    learning = learning_of(graft)
    measured = measure_sizes(nested, texts, sizes, seed) if texts else []
    charts, keys = gain_charts(learning, measured, sizes)
    base, extended = nested.first(0), nested.first(len(nested))
    pieces = new_pieces(graft, nested.texts())
    found = suspicious(
        pieces, load_language(graft.language).boilerplate, _by_source(extended, texts, graft.base_vocabulary)
    )
    return _TEMPLATE.render(
        title=title,
        graft=graft,
        added=len(nested),
        sizes=sizes,
        learning=learning,
        measured=measured,
        charts=charts,
        keys=keys,
        rows=size_rows(learning, measured, sizes, graft.base_vocabulary, hidden),
        hidden=list(hidden),
        groups=groups(pieces),
        lengths=lengths(pieces),
        commonest=commonest(pieces, _SHOWN),
        longest=longest(pieces, _SHOWN),
        rarest=rarest(pieces, _SHOWN),
        few=sum(piece.frequency < RARE for piece in pieces),
        suspicious=_by_reason(found),
        suspicions=len(found),
        shown=_SHOWN,
        cuts=_cuts(base, extended, samples_for(graft.language, texts), graft.base_vocabulary),
    )


def _by_source(extended: Encoder, texts: Sequence[Text], base_vocabulary: int) -> dict[str, list[int]]:
    """Return how often each new piece comes out of each source, where there are several to compare."""
    from watari.tokenizer.measure import measure

    sources = sorted({text.source for text in texts})
    if len(sources) < 2:
        return {}
    made = measure(extended, texts, round_trip=False)
    return {source: made.usage(source)[base_vocabulary:].tolist() for source in sources}


def _cuts(base: Encoder, extended: Encoder, samples: Sequence[Sample], base_vocabulary: int) -> list[Cut]:
    before, after = base.surfaces(), extended.surfaces()
    cuts = []
    for sample in samples:
        one = segments(base, before, sample.text, base_vocabulary)
        two = segments(extended, after, sample.text, base_vocabulary)
        ids = [[index for segment in side for index in segment.ids] for side in (one, two)]
        cuts.append(Cut(sample, one, two, (len(ids[0]), len(ids[1])), ids[0] == ids[1]))
    return cuts


def _by_reason(found: Sequence[Suspicion]) -> list[tuple[str, list[Suspicion]]]:
    return [
        (reason, mine) for reason in REASONS if (mine := [told for told in found if told.reason == reason])
    ]


def _seen(piece: NewPiece) -> str:
    """Return a piece's text as it can be seen: blanks shown too."""
    text = (piece.text if piece.text is not None else "\ufffd").replace("\t", "⇥")
    return visible(text, lines=False).replace(" ", "␣").replace("\u3000", "□")


_TEMPLATE = Template(
    "watari.tokenizer.page",
    LABELS,
    {"whole": whole, "short": short, "percent": percent, "visible": visible, "seen": _seen},
)
