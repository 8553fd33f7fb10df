"""`watari eval run`: the family of the spec says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


def run_command(
    spec: str,
    *,
    model: str,
    judge: str | None,
    questions: str,
    runs: int | None,
    limit: int | None,
    settings: Sequence[str],
    out: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Generate, judge and score into `out`, or go on with it.

    Raises:
        UserError: for an unknown spec, or one that is only read and not run, or an option that cannot be used.
        CheckFailed: if too many ratings or answers are invalid; all is written.
        StageFailed, Interrupted: as the stage does.
    """
    from watari.errors import UserError
    from watari.evals.spec import load_spec

    family = load_spec(spec).family
    run: Callable[..., None]
    if family == "jaster":
        from watari.cli.evaluation.running_jaster import run_jaster

        run = run_jaster
    elif family == "mtbench":
        from watari.cli.evaluation.running_mtbench import run_mtbench

        run = run_mtbench
    elif family == "shaberi":
        from watari.cli.evaluation.running_shaberi import run_shaberi

        run = run_shaberi
    else:
        raise UserError(
            f"{spec} is scored here, and run by its own command line", "watari eval harness-tasks --help"
        )
    run(
        spec,
        model=model,
        judge=judge,
        questions=questions,
        runs=runs,
        limit=limit,
        settings=settings,
        out=out,
        dry_run=dry_run,
        as_json=as_json,
    )
