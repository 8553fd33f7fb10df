"""What `watari sweep` does around its stage."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.asking import Order, end_dry_run, tell_work
from watari.cli.evaluation.keeping import SWEEP as MAKER
from watari.cli.evaluation.keeping import check_prices, run_kept
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact
    from watari.leakage.sweep.params import Params
    from watari.leakage.sweep.plan import Plan


def sweep_command(
    *,
    model: str,
    prompts: str,
    grid: str,
    repeats: int | None,
    effect: str | None,
    judge: str | None,
    limit: int | None,
    ledger: Path | None,
    settings: Sequence[str],
    out: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sweep into `out`, or go on with it; print the table.

    Raises:
        UserError: for an option that cannot be used, or a folder of another sweep.
        StageFailed, Interrupted: as the stage does.
    """
    from watari.leakage.sweep.plan import plan_of

    order = Order(model, judge, limit, settings, out, dry_run, as_json)
    own = {"prompts": prompts, "grid": grid, "repeats": repeats, "effect": effect}
    params, artifact = _params(order, grid, own, ledger)
    # What cannot be used is told before the folder is begun.
    plan = plan_of(params, artifact.path if artifact is not None else None)
    if dry_run:
        _dry_run(plan, params, as_json=as_json)
        return
    check_prices(params)
    _run(params, artifact, out, as_json=as_json)


def _params(
    order: Order, grid: str, own: dict[str, Any], ledger: Path | None
) -> tuple[Params, InputArtifact | None]:
    from watari.leakage.sweep.grid import packaged
    from watari.leakage.sweep.params import KIND, Params

    parties = order.parties()
    if not Path(grid).is_file() and grid not in packaged():
        raise UserError(f"--grid {grid}: no such file", f"a YAML file, or {', '.join(packaged())}")
    return order.lay(Params, KIND, parties, own, label="sweep", ledger=ledger)


def _dry_run(plan: Plan, params: Params, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.leakage.sweep.plan import cost_of

    cost = cost_of(plan, params)
    if as_json:
        print_json(
            {
                "cells": [
                    {
                        "name": cell.name,
                        "marks": list(cell.marks),
                        "sent": plan.engine.settings(cell.sampler, cell.extra),
                    }
                    for cell in plan.grid.cells
                ],
                "size": plan.size.as_json(),
                **cost.as_json(),
                "notes": list(plan.notes),
            }
        )
        return
    lines = [f"{len(plan.grid.cells)} cells of {plan.grid.name}:"]
    for cell in plan.grid.cells:
        marks = f"  ({', '.join(cell.marks)})" if cell.marks else ""
        lines.append(f"  {cell.name}{marks}")
    judged = f", {cost.judgments:,} judgments at most" if cost.judgments else ""
    lines += [
        plan.size.line(),
        f"{cost.answers:,} answers, {cost.canary:,} requests of the canary{judged}",
        f"about {cost.prompt_tokens:,} prompt tokens, {cost.completion_tokens:,} of answers",
    ]
    if cost.cost or cost.worst:
        lines.append(f"cost: about {cost.cost:.2f}, at worst {cost.worst:.2f}")
    elif params.endpoints():
        lines.append("cost: not known, no price is given (--set model.price.input=2, per million tokens)")
    for line in [*lines, *(f"note: {note}" for note in plan.notes)]:
        for part in textwrap.wrap(line, 80, subsequent_indent="  ", break_on_hyphens=False) or [""]:
            typer.echo(part)
    end_dry_run(as_json=as_json)


def _run(params: Params, artifact: InputArtifact | None, out: Path, *, as_json: bool) -> None:
    import json

    from watari.cli.options import print_json
    from watari.leakage.sweep.folder import CONFIG, SWEEP
    from watari.leakage.sweep.stage import STAGE
    from watari.leakage.sweep.table import as_lines

    kept = run_kept(STAGE, params, artifact, out, MAKER, quiet=as_json)
    found = json.loads((out / SWEEP).read_text("utf-8"))
    if as_json:
        print_json({**found, "performance": kept.result.performance, "digest": kept.digest, "out": str(out)})
        return
    tell_work(kept, requests=artifact is None)
    if missing := kept.result.metrics["answers"]["missing"]:
        typer.echo(f"missing: {missing:,} answers")
    if cost := kept.result.metrics["cost"]:
        typer.echo(f"spent on answers: {cost:.4f}")
    for line in as_lines(found):
        typer.echo(line)
    typer.echo(f"written: {out / CONFIG}")
