"""What `watari sweep` does around its stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.evaluation.keeping import LEDGER, check_prices, model_artifact, party, run_kept
from watari.errors import DryRun, UserError

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

    params, artifact = _params(model, prompts, grid, repeats, effect, judge, limit, ledger, settings, out)
    # What cannot be used is told before the folder is begun.
    plan = plan_of(params, artifact.path if artifact is not None else None)
    if dry_run:
        _dry_run(plan, params, as_json=as_json)
        return
    check_prices(params)
    _run(params, artifact, out, as_json=as_json)


def _params(
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
) -> tuple[Params, InputArtifact | None]:
    from watari.cli.training_params import lay
    from watari.leakage.sweep.grid import packaged
    from watari.leakage.sweep.params import KIND, Params

    examined = party("model", model)
    rater = party("judge", judge) if judge is not None else None
    if isinstance(rater, Path):
        raise UserError(f"--judge {judge}: a judge is a server", "give --judge name=URL, up to /v1")
    if not Path(grid).is_file() and grid not in packaged():
        raise UserError(f"--grid {grid}: no such file", f"a YAML file, or {', '.join(packaged())}")
    given: dict[str, Any] = {
        "model": {"from": "model"} if isinstance(examined, Path) else examined,
        "prompts": prompts,
        "grid": grid,
        "repeats": repeats,
        "effect": effect,
        "judge": rater,
        "limit": limit,
        "ledger": str(ledger or out / LEDGER),
        "label": "sweep",
    }
    values = {name: value for name, value in given.items() if value is not None}
    inputs = ("ledger", "label", *(("model",) if isinstance(examined, Path) else ()))
    params = lay(Params, values, settings, KIND, inputs=inputs)
    return params, model_artifact(examined) if isinstance(examined, Path) else None


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
                        "sent": plan.engine.settings(cell.sampler),
                    }
                    for cell in plan.grid.cells
                ],
                "size": plan.size.as_json(),
                **cost.as_json(),
                "notes": list(plan.notes),
            }
        )
        return
    typer.echo(f"{len(plan.grid.cells)} cells of {plan.grid.name}:")
    for cell in plan.grid.cells:
        marks = f"  ({', '.join(cell.marks)})" if cell.marks else ""
        typer.echo(f"  {cell.name}{marks}")
    typer.echo(plan.size.line())
    judged = f", {cost.judgments:,} judgments at most" if cost.judgments else ""
    typer.echo(f"{cost.answers:,} answers, {cost.canary:,} requests of the canary{judged}")
    typer.echo(f"about {cost.prompt_tokens:,} prompt tokens, {cost.completion_tokens:,} of answers")
    typer.echo(f"cost {cost.cost:.2f} as expected, {cost.worst:.2f} at worst (0: no price is given)")
    for note in plan.notes:
        typer.echo(f"note: {note}")
    raise DryRun("dry run: nothing was sent, nothing was written")


def _run(params: Params, artifact: InputArtifact | None, out: Path, *, as_json: bool) -> None:
    import json

    from watari.cli.options import print_json
    from watari.flow.display import duration
    from watari.leakage.sweep.folder import CONFIG, SWEEP
    from watari.leakage.sweep.stage import STAGE
    from watari.leakage.sweep.table import as_lines

    kept = run_kept(STAGE, params, artifact, out, quiet=as_json)
    found = json.loads((out / SWEEP).read_text("utf-8"))
    if as_json:
        print_json({**found, "performance": kept.result.performance, "digest": kept.digest, "out": str(out)})
        return
    asked, performance = kept.result.metrics["answers"], kept.result.performance
    typer.echo(
        f"{asked['asked']:,} answers in {duration(kept.seconds)} ({performance['requests_sent']:,} requests sent,"
        f" {performance['recorded']:,} on record)"
    )
    if asked["missing"]:
        typer.echo(f"missing: {asked['missing']:,} answers")
    if cost := kept.result.metrics["cost"]:
        typer.echo(f"spent on answers: {cost:.4f}")
    for line in as_lines(found):
        typer.echo(line)
    typer.echo(f"written: {out / CONFIG}")
