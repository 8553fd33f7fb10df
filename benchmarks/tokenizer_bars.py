"""Our own tokenizers on every base, and among the real tokenizers that packages carry."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sides import tell
from tokenizer_bench import MISTRAL, POLICIES, Bench, mistral
from tokenizer_measure import Ids, Row, compression, differing, encoded, say, show
from tokenizer_peers.packaged import packaged

from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.opening import open_base

BARS = {
    (MISTRAL, 8_064): 1.85,
    (MISTRAL, 11_008): 1.95,
    (MISTRAL, 32_000): 2.2,
    (MISTRAL, 88_000): 2.5,
    ("Llama 2", 8_064): 2.0,
    ("tekken", 11_008): 1.36,
}
GOAL = 2.0
"""Of Mistral at 11,008."""


def bars(bench: Bench) -> None:
    """Measure ours on every base: how far it compresses, and that texts without Japanese do not move."""
    bases: dict[str, BpeTokenizer] = {MISTRAL: mistral()}
    if bench.data is not None:
        llama = bench.data / "tinystories-llama" / "tokenizer.model"
        bases["Llama 2"] = open_base(str(llama), name="Llama 2")
    if not bench.quick:
        bases["tekken"] = open_base("tekken", name="tekken")
    for name, base in bases.items():
        before = compression(base, bench.held)
        unmoved = encoded(base, bench.other)
        rows = [Row(name, 0, before)]
        for variant in POLICIES:
            for count in bench.counts:
                made = bench.ours(name, base, variant, count)
                rows.append(Row(f"{name}, ours, {variant}", count, compression(made, bench.held)))
                if (name, count) in BARS or bench.data is None:
                    _bar(bench, name, variant, count, before, rows[-1].per_token)
                _unmoved(bench, name, variant, len(made) - len(base), made, unmoved)
        show(rows, before, list(bench.held))
        if name != MISTRAL:
            bench.forget(name)


def _bar(
    bench: Bench, name: str, variant: str, count: int, before: dict[str, float], after: dict[str, float]
) -> None:
    """Claim the ratio on the main text, and on the text held back on which it is least."""
    ratios = {text: after[text] / before[text] for text in before}
    bar = BARS.get((name, count))
    places = [(bench.main_text, "")]
    if rest := [text for text in ratios if not text.startswith(bench.main_text)]:
        places.append((min(rest, key=ratios.__getitem__), " (least of the documents held back)"))
    for text, why in places:
        ratio = ratios[text]
        told = f"; bar {bar}×: {'held' if ratio >= bar else 'missed'}" if bar else ""
        if name == MISTRAL and bar == 1.95:
            told += f"; goal {GOAL}×: {'held' if ratio >= GOAL else 'missed'}"
        tell(
            f"{name} +{count:,}, {variant}, over the base on {bench.where}{text}{why}{told}",
            after[text],
            before[text],
            unit="characters per token",
            peer_name=f"{name} itself",
            sizes=", ".join(f"{key} {value:.3f}×" for key, value in ratios.items())
            + f"; learned from {bench.corpus.told()}",
            less_is_better=False,
        )


def _unmoved(
    bench: Bench, name: str, variant: str, count: int, made: BpeTokenizer, by_base: list[Ids]
) -> None:
    """Claim how many tokens differ in documents without Japanese."""
    wrong, total = differing(encoded(made, bench.other), by_base)
    if count < max(bench.counts) and not wrong:
        say(f"  {name} +{count:,}, {variant}: 0 of {total:,} tokens differ")
        return
    size = sum(len(text.encode("utf-8")) for text in bench.other)
    tell(
        f"{name} +{count:,}, {variant}: tokens that differ in text without Japanese; bar 0: "
        f"{'missed' if wrong else 'held'}",
        wrong,
        0,
        unit=f"of {total:,} tokens",
        peer_name=f"{name} itself",
        sizes=f"{len(bench.other):,} documents, {size / 1e6:.1f} MB: {', '.join(bench.corpus.other)}",
    )


def packages(bench: Bench) -> None:
    """Measure real tokenizers that packages carry, with ours among them."""
    llama = bench.data / "tinystories-llama" / "tokenizer.model" if bench.data is not None else None
    base, count, text = mistral(), bench.headline, bench.main_text
    mine = {
        variant: compression(bench.ours(MISTRAL, base, variant, count), bench.held) for variant in POLICIES
    }
    rows = [Row(f"{MISTRAL} +{count:,}, ours, {variant}", count, found) for variant, found in mine.items()]
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for found in packaged(bench.wheels, llama, Path(scratch)):
            if isinstance(found, str):
                missing.append(found)
                continue
            row = Row(f"{found.name} ({len(found.encoder):,} ids)", 0, compression(found.encoder, bench.held))
            rows.append(row)
            tell(
                f"{MISTRAL} +{count:,} against {found.name}: {bench.where}{text}",
                mine["Japanese only"][text],
                row.per_token[text],
                unit="characters per token",
                peer_name=f"{found.name} in {found.origin}",
                sizes=f"{len(base) + count:,} ids against {len(found.encoder):,}; ours with digits "
                f"{mine['with digits'][text]:.3f}",
                less_is_better=False,
            )
            if bench.quick:
                break
    show(sorted(rows, key=lambda row: row.per_token[text]), compression(base, bench.held), list(bench.held))
    if missing:
        say(f"not at hand, and so not in the table: {', '.join(missing)}")
