"""`watari eval judges`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from watari.cli.evaluation.inputs import results_of
from watari.evals.agreement import Agreement, Interval, agreement_of


def judges_command(files: Sequence[str], *, spec: str | None, seed: int, as_json: bool) -> None:
    """Print how far the judges in some files agree.

    Raises:
        UserError: for files that cannot be scored, or hold fewer than two judges.
    """
    results = results_of(files, spec=spec, seed=seed)
    found = agreement_of(results, seed=seed)
    typer.echo(json.dumps(as_data(found), ensure_ascii=False) if as_json else as_text(found))


def as_data(found: Agreement) -> dict[str, Any]:
    """Return the JSON form."""
    return {
        "spec": found.spec,
        "judges": {
            one.judge: {
                "models": one.models,
                "n": one.n,
                "invalid": {"rows": one.invalid, "rate": one.invalid_rate, "reasons": one.reasons},
                "mean": one.mean,
                "refused": one.refused,
            }
            for one in found.judges
        },
        "pairs": [
            {
                "a": pair.a,
                "b": pair.b,
                "models": pair.models,
                "n": pair.n,
                "tau": pair.tau,
                "tau_interval": pair.tau_interval,
                "r": pair.r,
                "r_interval": pair.r_interval,
                "alpha": pair.alpha,
                "shift": pair.shift,
                "shift_interval": pair.shift_interval,
            }
            for pair in found.pairs
        ],
        "alpha": found.alpha,
    }


def as_text(found: Agreement) -> str:
    """Return tables for people, 80 columns wide."""
    width = min(36, max(len(one.judge) for one in found.judges))
    lines = [
        found.spec,
        "",
        f"{'judge':{width}}  {'models':>6}  {'ratings':>8}  {'unreadable':>16}  {'mean':>6}",
    ]
    for one in found.judges:
        lines.append(
            f"{_short(one.judge, width):{width}}  {one.models:>6}  {one.n:>8,}"
            f"  {one.invalid:>7,} ({one.invalid_rate:>6.2%})  {_number(one.mean, 6, 2)}"
        )
        if one.refused:
            lines.append(f"{'':{width}}  above 5 % unreadable: {len(one.refused)} of its models")
    lines.append("")
    for pair in found.pairs:
        lines += [
            f"{_short(pair.a, 38)} - {_short(pair.b, 38)}",
            f"  {pair.models} models, {pair.n:,} ratings of both; alpha {_number(pair.alpha, 0, 3)}",
            f"  tau   {_number(pair.tau, 6, 3)}  {_ends(pair.tau_interval)}",
            f"  r     {_number(pair.r, 6, 3)}  {_ends(pair.r_interval)}",
            f"  shift {pair.shift:+6.3f}  {_ends(pair.shift_interval)}",
        ]
    lines += ["", "tau: the models' ranks. r: ratings of the same answer. alpha: Krippendorff's, 1"]
    lines.append("where both say the same. shift: how much more the first one gives.")
    if found.alpha is not None and len(found.judges) > 2:
        lines.append(f"All {len(found.judges)} judges together: alpha {found.alpha:.3f}.")
    return "\n".join(lines)


def _ends(interval: Interval) -> str:
    return "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]
