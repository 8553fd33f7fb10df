"""Three encoders of one tokenizer agree, and give every line back."""

from __future__ import annotations

from sides import tell
from tokenizer_bench import MISTRAL, POLICIES, Bench, both_libraries, mistral

from watari.tokenizer.reference import SpmReference
from watari.tokenizer.spm import SpmBpe

LINES = 30_000
"""Of every text, at most."""


def exact(bench: Bench) -> None:
    """Compare tokenizers, sentencepiece and the slow reference line by line, at the least and the greatest number."""
    base = mistral()
    for variant in POLICIES:
        for count in (min(bench.counts), max(bench.counts)):
            made = bench.ours(MISTRAL, base, variant, count)
            assert isinstance(made, SpmBpe)
            _agreement(bench, made, count, variant, len(base))


def _agreement(bench: Bench, made: SpmBpe, count: int, variant: str, base: int) -> None:
    limit = LINES if bench.data is not None else 300
    lines: list[str] = []
    for texts in (*bench.held.values(), *bench.corpus.other.values()):
        found = [line for text in texts for line in text.split("\n") if line]
        lines += found[:limit]
    both = both_libraries(made, base)
    reference = SpmReference(made.model)
    unlike = lossy = 0
    for start in range(0, len(lines), 256):
        batch = lines[start : start + 256]
        first = both["sentencepiece"].encode(batch)
        second = both["tokenizers"].encode(batch)
        third = [ids.tolist() for ids in reference.encode(batch)]
        for text, a, b, c in zip(batch, first, second, third, strict=True):
            unlike += not list(a) == list(b) == c
            lossy += both["sentencepiece"].decode(a) != text or both["tokenizers"].decode(a) != text
    for claim, number in (
        ("lines on which tokenizers, sentencepiece and our reference disagree", unlike),
        ("lines that decode(encode(x)) does not give back, by sentencepiece or tokenizers", lossy),
    ):
        tell(
            f"{MISTRAL} +{count:,}, {variant}: {claim}; bar 0: {'held' if number == 0 else 'missed'}",
            number,
            0,
            unit=f"of {len(lines):,} lines",
            peer_name="complete agreement;",
            peer_packages=("sentencepiece", "tokenizers"),
            sizes="Japanese, English, code, other alphabets",
        )
