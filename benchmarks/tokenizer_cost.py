"""What building costs, and how fast the outcome encodes beside the base."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sides import tell
from tokenizer_bench import MISTRAL, Bench, both_libraries, mistral
from tokenizer_build import build_cost, write_texts
from tokenizer_measure import say

from watari.tokenizer.spm import SpmBpe

SECONDS, MEMORY = 120, 3.5
"""The bar of building 88,000 pieces from 50 MB."""
SPEED = 0.95
"""The bar of encoding, of the base's characters a second."""


def cost(bench: Bench) -> None:
    """Measure both."""
    count = max(bench.counts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        write_texts(bench.sources, path)
        sides = ("ours", "peer") if bench.quick else ("ours", "ours-unpruned", "peer")
        found = {side: build_cost(side, path, count) for side in sides}
    for side, spent in found.items():
        say(f"building, {side}: {spent}")
    mine, peer, unpruned = found["ours"], found["peer"], found.get("ours-unpruned", found["ours"])
    told = f"{mine.pieces:,} pieces from {sum(source.size for source in bench.corpus.learning) / 1e6:.0f} MB"
    what = (
        "reading the text, learning, leaving out unused pieces, counting, writing every file; without leaving out "
        f"{unpruned.cpu:.1f} CPU s, {unpruned.memory:.2f} GB; the peer's BpeTrainer learns {peer.pieces:,} pieces from "
        "nothing, in compiled code"
    )
    for name, bar, unit, own, other in (
        ("CPU time", SECONDS, "CPU s", mine.cpu, peer.cpu),
        ("time on the clock", SECONDS, "s", mine.wall, peer.wall),
        ("memory", MEMORY, "GB of the largest resident set", mine.memory, peer.memory),
    ):
        held = f"; bar {bar}: {'held' if own <= bar else 'missed'}" if bench.data is not None else ""
        tell(
            f"building {told}: {name}{held}", own, other, unit=unit, peer_packages=("tokenizers",), sizes=what
        )
    _speed(bench)


def _speed(bench: Bench) -> None:
    base = mistral()
    texts = {
        "Japanese": [text for name, texts in bench.held.items() if name != "JSQuAD test" for text in texts],
        "English": bench.corpus.other["English"][:400],
    }
    before = both_libraries(base, len(base))
    for count in sorted({bench.headline, max(bench.counts)}):
        made = bench.ours(MISTRAL, base, "Japanese only", count)
        assert isinstance(made, SpmBpe)
        for library, encoder in both_libraries(made, len(base)).items():
            for language, documents in texts.items():
                sizes = [sum(map(len, side.encode(documents))) for side in (encoder, before[library])]
                own, other = _in_turn(encoder.encode, before[library].encode, documents, bench.repeats)
                tell(
                    f"encoding {language} with {library}, {MISTRAL} +{count:,} beside the base; bar {SPEED}×: "
                    f"{'held' if own >= SPEED * other else 'missed'}",
                    own,
                    other,
                    unit="million characters per CPU s",
                    peer_name=f"{MISTRAL} itself, with",
                    peer_packages=(library,),
                    sizes=f"{len(documents):,} documents, {sum(map(len, documents)):,} characters: {sizes[0]:,} tokens "
                    f"against {sizes[1]:,}; medians of {bench.repeats} runs in turn",
                    less_is_better=False,
                )


def _in_turn(
    ours: Callable[[Sequence[str]], object],
    base: Callable[[Sequence[str]], object],
    texts: Sequence[str],
    repeats: int,
) -> tuple[float, float]:
    """Return million characters per CPU second of both sides, medians of runs in turn after a first for warmth."""
    size = sum(map(len, texts)) / 1e6
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for side in (0, 1) if turn % 2 else (1, 0):
            gc.collect()
            began = time.process_time()
            (base if side else ours)(texts)
            if turn:
                seconds[side].append(time.process_time() - began)
    return size / statistics.median(seconds[0]), size / statistics.median(seconds[1])
