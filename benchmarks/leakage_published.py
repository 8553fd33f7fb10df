"""The published question, on the stored runs: does leakage grow with temperature, and did DPO make it worse?

Shisa 7B's card regrets words of one language leaking into the other, "exacerbated by" DPO. Of four of its models 96 prompts
were answered at four temperatures, five times each (data/shisa-generations). Counted here, of answers that should be in
English, with intervals over prompts:
- by temperature: the share with any leakage and events per 1,000 characters, before DPO (peer: T 0.1) and after;
- SFT against DPO, paired by prompt, over all temperatures and at each;
- the two pairs by themselves.

A ratio above 1 is more leakage than the peer's; `sizes` holds the difference with its interval and p.

    WATARI_TEST_DATA=... python benchmarks/leakage_published.py [--quick]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sides import arguments, one_thread, tell

one_thread()

from watari.artifact.records import Fault  # noqa: E402
from watari.leakage.comparison import Compared, Comparison, compare  # noqa: E402
from watari.leakage.difference import Difference  # noqa: E402
from watari.leakage.reading import read  # noqa: E402
from watari.leakage.scan import scan_row  # noqa: E402
from watari.leakage.tally import Tally, tally_of  # noqa: E402
from watari.text.leakage import Licensed  # noqa: E402

PAIRS = (("shisa-mega-7b-v1", "shisa-mega-dpo-7b-v1"), ("shisa-mega-7b-v1.1", "shisa-mega-dpo-7b-v1.1"))
LANGUAGE = "en"
LOWEST, HIGHEST = 0.1, 1.0


def tallies(file: Path, licensed: Licensed = "none") -> list[Tally]:
    """Return what is counted of every answer that should be in English."""
    found = []
    for row in read([str(file)]):
        if isinstance(row, Fault):
            raise SystemExit(str(row))
        scanned = scan_row(row, licensed=licensed)
        if scanned.judged and scanned.expected == LANGUAGE:
            found.append(tally_of(scanned))
    return found


def of(rows: Sequence[Tally], models: Sequence[str], temperature: float | None = None) -> list[Tally]:
    """Return the answers of some models, at one temperature or at all."""
    return [
        row
        for row in rows
        if row.columns["model"] in models and temperature in (None, row.columns["temperature"])
    ]


def said(found: Difference, scale: float, digits: int) -> str:
    """Return a difference with its interval and p."""
    assert found.low is not None
    assert found.high is not None
    ends = f"[{found.low * scale:+.{digits}f}, {found.high * scale:+.{digits}f}]"
    ps = f"p {_small(found.p)}, swaps {_small(found.p_permutation)}"
    return f"difference {found.value * scale:+.{digits}f} {ends}, {ps}"


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def claims(what: str, peer: str, part: Compared, pair: Comparison) -> None:
    """Print the two claims of a comparison: A is ours."""
    size = f"{part.a.responses:,} and {part.b.responses:,} answers to {pair.prompts} prompts"
    for name, found, scale, digits, unit in (
        ("answers that leak", part.share, 100.0, 1, "% of answers"),
        ("events", part.rate, 1.0, 3, "events/1,000 characters"),
    ):
        tell(
            f"{name}, {what}",
            found.a * scale,
            found.b * scale,
            unit=unit,
            peer_name=peer,
            sizes=f"{said(found, scale, digits)}; {size}",
            less_is_better=False,
        )


def main() -> int:
    """Count, compare, tell."""
    options = arguments(__doc__)
    folder = os.environ.get("WATARI_TEST_DATA")
    if not folder:
        print("WATARI_TEST_DATA says where the stored runs are", file=sys.stderr)
        return 1
    rows = tallies(Path(folder) / "shisa-generations" / "generations.jsonl.gz")
    rounds = 200 if options.quick else 2000
    before, after = [pair[0] for pair in PAIRS], [pair[1] for pair in PAIRS]
    for name, models in (("before DPO", before), ("after DPO", after)):
        warm = compare(of(rows, models, HIGHEST), of(rows, models, LOWEST), by=[], rounds=rounds)
        claims(f"{name}, T {HIGHEST}", f"T {LOWEST}", warm.whole, warm)
    pooled = compare(of(rows, after), of(rows, before), rounds=rounds)
    claims("after DPO, all temperatures", "before DPO", pooled.whole, pooled)
    for part in pooled.parts:
        if part.part.startswith("temperature "):
            claims(f"after DPO, T {part.part.removeprefix('temperature ')}", "before DPO", part, pooled)
    for one, other in PAIRS:
        pair = compare(of(rows, [other]), of(rows, [one]), by=[], rounds=rounds)
        claims(f"{other}, all temperatures", one, pair.whole, pair)
    return 0


if __name__ == "__main__":
    sys.exit(main())
