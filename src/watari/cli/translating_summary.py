"""What `watari translate run` tells at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WIDTH = 80


def summary(metrics: dict[str, Any], performance: dict[str, Any], out: Path, seconds: float) -> list[str]:
    """Return what came of a run in lines of at most 80 characters."""
    from watari.flow.display import duration

    rows, kept = metrics["rows_in"], metrics["kept"]
    sent, recorded = performance["requests_sent"], performance["recorded"]
    lines = [
        f"{rows:,} rows in {duration(seconds)}: {kept:,} kept, {metrics['dropped']:,} dropped"
        f" ({sent:,} requests sent, {recorded:,} on record)"
    ]
    width = max((len(rung["name"]) for rung in metrics["rungs"]), default=0)
    width = min(max(width, 6), 30)
    lines.append(f"  {'rung':<{width}} {'asked':>9} {'accepted':>9} {'share':>7}  most frequent fault")
    for rung in metrics["rungs"]:
        if not rung["asked"]:
            continue
        share = rung["accepted"] / rung["asked"]
        worst = max(rung["faults"].items(), key=lambda item: (item[1], item[0]), default=None)
        told = f"{worst[1]:,} {worst[0]}" if worst else ""
        lines.append(
            f"  {rung['name'][:width]:<{width}} {rung['asked']:>9,} {rung['accepted']:>9,} {share:>7.1%}  {told}"[
                :WIDTH
            ]
        )
    people = metrics["human"]
    if people["accepted"] or people["forced"] or people["refused"]:
        lines.append(
            f"  people: {people['accepted']:,} accepted, {people['forced']:,} forced, {people['refused']:,} refused"
        )
    reasons = sorted(metrics["dropped_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    if reasons:
        lines.append("dropped:")
        lines += [f"  {reason[:40]:<40} {count:>9,}  {count / rows:6.1%}" for reason, count in reasons]
    if metrics["routed"]:
        routed = ", ".join(f"{count:,} {name}" for name, count in metrics["routed"].items())
        lines.append(f"not to be translated: {routed}"[:WIDTH])
    tokens = metrics["tokens"]
    lines.append(
        f"spent: {metrics['cost']:.4f} for {tokens['prompt']:,} prompt and {tokens['completion']:,} completion tokens"
    )
    if people["to_do"]:
        lines.append(f"for people: {people['to_do']:,} rows in {out / 'human.jsonl'}")
    lines.append(f"written: {out / 'rows.parquet'}, {out / 'report.html'}")
    return lines
