"""`watari eval run`: the family of the spec says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from watari.cli.evaluation.families import Family
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.cli.evaluation.asking import Order


def run_command(spec: str, order: Order, *, questions: str, runs: int | None) -> None:
    """Generate, judge and score into a folder, or go on with it.

    Args:
        spec: Its name, or a file.
        order: What was asked for.
        questions: `bundled`, or where they are.
        runs: Answers to a question; None: the spec's.

    Raises:
        UserError: for an unknown spec, or one that is only read and not run, an option that cannot be used, a prompt that
            loses or doubles BOS, a folder of another evaluation.
        CheckFailed: if too many ratings or answers are invalid; all is written.
        StageFailed, Interrupted: as the stage does.
    """
    from watari.cli.evaluation.keeping import check_prices

    found = _family(spec, order, questions, runs)
    if order.dry_run:
        _dry_run(found, order)
        return
    check_prices(found.params)
    _run(found, order)


def _family(spec: str, order: Order, questions: str, runs: int | None) -> Family:
    from watari.evals.spec import load_spec

    family = load_spec(spec).family
    if family == "jaster":
        from watari.cli.evaluation.running_jaster import Jaster

        return Jaster(spec, order, questions, runs)
    if family == "mtbench":
        from watari.cli.evaluation.running_mtbench import MTBench

        return MTBench(spec, order, questions, runs)
    if family == "shaberi":
        from watari.cli.evaluation.running_shaberi import Shaberi

        return Shaberi(order, questions, runs)
    raise UserError(
        f"{spec} is scored here, and run by its own command line", "watari eval harness-tasks --help"
    )


def _dry_run(found: Family, order: Order) -> None:
    from watari.cli.evaluation.asking import end_dry_run
    from watari.cli.options import print_json
    from watari.generate.preflight import refuse

    looked = found.look()
    if order.as_json:
        print_json(looked.content)
    else:
        for line in looked.lines:
            typer.echo(line)
    if looked.stops:
        refuse(looked.sent, found.artifact.name if found.artifact is not None else "")
    end_dry_run(as_json=order.as_json)


def _run(found: Family, order: Order) -> None:
    from watari.cli.evaluation.keeping import EVALUATION, run_kept
    from watari.cli.options import print_json

    found.check()
    kept = run_kept(found.stage, found.params, found.artifact, order.out, EVALUATION, quiet=order.as_json)
    scored = found.scored(kept, order)
    if order.as_json:
        print_json(
            {
                **scored.content,
                "metrics": kept.result.metrics,
                "performance": kept.result.performance,
                "evaluation_digest": kept.digest,
                "out": str(order.out),
            }
        )
    else:
        from rich.console import Console

        found.tell(kept)
        Console(width=80, highlight=False).print(scored.table)
        typer.echo(f"written: {order.out}")
    if scored.failed is not None:
        raise scored.failed
