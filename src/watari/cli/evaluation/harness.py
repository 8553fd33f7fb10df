"""`watari eval harness-tasks` and `watari eval import-harness`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.errors import CheckFailed

if TYPE_CHECKING:
    from watari.evals.harness.bos import BosAdvice
    from watari.evals.harness.importing import Imported


def tasks_command(
    out: Path, *, spec: str, questions: str, model: Path | None, limit: int | None, as_json: bool
) -> None:
    """Write task files, and tell the command that runs them."""
    from watari.evals.harness.bos import bos_advice
    from watari.evals.harness.tasks import GROUP, write_tasks
    from watari.pretrained.locate import find_model

    folder = find_model(model) if model is not None else None
    advice = bos_advice(folder) if folder is not None else None
    written = write_tasks(out, spec_name=spec, questions=questions, limit=limit)
    command = call_of(out, str(model) if model is not None else "MODEL", GROUP, advice)
    if as_json:
        said: dict[str, Any] = {
            "out": str(out),
            "group": GROUP,
            "tasks": {task.name: task.items for task in written},
            "command": command,
        }
        if advice is not None:
            said["bos"] = {"found": advice.found, "model_args": advice.model_args, "mend": advice.mend}
        typer.echo(json.dumps(said, ensure_ascii=False))
    else:
        for task in written:
            typer.echo(f"{task.name}: {task.items} items")
        if advice is not None:
            typer.echo(f"BOS: {advice.found}")
        typer.echo(f"\nrun them:\n  {command}")
        typer.echo("then:\n  watari eval import-harness lm-eval-out --out evals/harness")
    if advice is not None and advice.mend:
        raise CheckFailed(f"{model}: {advice.found}", advice.mend)


def call_of(out: Path, model: str, group: str, advice: BosAdvice | None) -> str:
    """Return the harness's command line for the task files in `out`."""
    told = "add_bos_token=True" if advice is None else advice.model_args
    arguments = f"pretrained={model}" + (f",{told}" if told else "")
    call = ["lm_eval", "run", "--model", "hf", "--model_args", arguments, "--tasks", group]
    return shlex.join([*call, "--include_path", str(out), "--log_samples", "--output_path", "lm-eval-out"])


def import_command(files: Sequence[str], *, out: Path, model: str | None, seed: int, as_json: bool) -> None:
    """Import results, and show what was counted again beside what the harness printed."""
    from watari.evals.harness.bos import problems_of
    from watari.evals.harness.importing import import_results

    imported = import_results([Path(file) for file in files], out, model=model, seed=seed)
    warnings = {
        one.folder: list(dict.fromkeys(said for call in one.scored.calls for said in problems_of(call)))
        for one in imported
    }
    if as_json:
        typer.echo(json.dumps([_as_json(one, warnings[one.folder]) for one in imported], ensure_ascii=False))
    else:
        for one in imported:
            _show(one, warnings[one.folder])
    different = [
        f"{one.scored.result.model}: {check.figure}"
        for one in imported
        for check in one.scored.checks
        if check.verdict == "different"
    ]
    if different:
        raise CheckFailed(
            f"{len(different)} figures differ from what their samples give: {', '.join(different[:5])}",
            "do results and samples belong together?",
        )


def _as_json(imported: Imported, warnings: Sequence[str]) -> dict[str, Any]:
    result = imported.scored.result
    return {
        "model": result.model,
        "out": str(imported.folder),
        "harness": result.settings["harness"],
        "figures": {
            check.figure: {
                "printed": check.printed,
                "counted": check.ours,
                "verdict": check.verdict,
                "why": check.why,
                "stderr_printed": check.stderr,
                "n": result.figures[check.figure].n,
                "ci_low": result.figures[check.figure].low,
                "ci_high": result.figures[check.figure].high,
            }
            for check in imported.scored.checks
        },
        "overall": {"name": result.overall, "value": result.figures[result.overall].value},
        "notes": list(result.notes),
        "warnings": list(warnings),
    }


def _show(imported: Imported, warnings: Sequence[str]) -> None:
    result = imported.scored.result
    version = f" {result.settings['harness']}" if result.settings["harness"] else ""
    typer.echo(f"{result.model}  (lm-evaluation-harness{version})")
    width = max([len(check.figure) for check in imported.scored.checks] + [len(result.overall)])
    typer.echo(f"{'':{width}}  {'harness':>9}  {'counted':>9}  95% interval        n")
    for check in imported.scored.checks:
        figure = result.figures[check.figure]
        counted = "–" if check.ours is None else f"{check.ours:.4f}"
        verdict = {"same": "", "different": "  DIFFERENT", "as printed": f"  {check.why}"}[check.verdict]
        typer.echo(
            f"{check.figure:{width}}  {check.printed:9.4f}  {counted:>9}  {_interval(figure.low, figure.high):16}"
            f"  {figure.n:4d}{verdict}"
        )
    overall = result.figures[result.overall]
    if overall.value is not None:
        shown = _interval(overall.low, overall.high)
        typer.echo(f"{result.overall:{width}}  {'':9}  {overall.value:9.4f}  {shown:16}  {overall.n:4d}")
    for line in (*result.notes, *warnings):
        typer.echo(f"note: {line}")
    typer.echo(f"written: {imported.folder}")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.4f}, {high:.4f}]"
