"""`watari show`, `verify`, `diff`, `clean`: looking at runs that exist, and tidying up after them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watari.cli.options import JsonOption, RunArgument, print_json
from watari.errors import CheckFailed

if TYPE_CHECKING:
    from watari.flow.inspect import StageDifference, StageState


def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the state of a run: its stages, how long each took, its main figures.

    Example: watari show runs/demo --json
    """
    from watari.flow.inspect import show as look

    stages = look(run)
    if as_json:
        print_json({"stages": [asdict(stage) for stage in stages]})
        return
    width = max(len(stage.name) for stage in stages)
    uses = max(len(stage.uses) for stage in stages)
    for stage in stages:
        typer.echo(f"{stage.name.ljust(width)}  {stage.uses.ljust(uses)}  {_told(stage)}".rstrip())


def verify(run: RunArgument, as_json: JsonOption = False) -> None:
    """Hash every artifact of a run again and compare with its manifest. Exit code 3 if anything differs.

    Example: watari verify runs/demo
    """
    from watari.flow.inspect import verify_run

    found = verify_run(run)
    if as_json:
        print_json(
            {"checked": found.checked, "missing": found.missing, "faults": [asdict(f) for f in found.faults]}
        )
    else:
        for fault in found.faults:
            typer.echo(f"{fault.path}: {fault.problem}")
        not_made = f", {len(found.missing)} not made yet" if found.missing else ""
        typer.echo(f"{found.checked} artifacts checked, {len(found.faults)} faults{not_made}")
    if found.faults:
        raise CheckFailed(
            f"{run}: {len(found.faults)} faults",
            "make the damaged stages again: watari run RECIPE --force STAGE",
        )


def diff(
    left: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    right: Annotated[Path, typer.Argument(metavar="OTHER", help="The folder of another.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two runs: the parameters and metrics in which their stages differ.

    Example: watari diff runs/demo runs/demo-2
    """
    from watari.flow.inspect import diff as compare

    found = compare(left, right)
    if as_json:
        print_json(
            {"left": str(left), "right": str(right), "stages": [_difference(stage) for stage in found]}
        )
        return
    for stage in found:
        typer.echo(f"{stage.name}: {stage.state}")
        for group in (stage.parameters, stage.metrics):
            for name, (before, after) in group.items():
                typer.echo(f"    {name}: {_short(before)} -> {_short(after)}")


def clean(
    store: Annotated[
        Path, typer.Option("--store", file_okay=False, help="The store to tidy.", envvar="WATARI_STORE")
    ] = Path("runs/.store"),
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and stop.")] = False,
) -> None:
    """Remove artifacts that no run refers to, after showing them and asking.

    A run refers to what its `stages/` links to and to all that this was made from.

    Example: watari clean --store runs/.store --dry-run
    """
    from watari.artifact.store import Store
    from watari.flow.clean import remove, unused
    from watari.flow.display import size

    items = unused(Store(store))
    for item in items:
        typer.echo(f"{size(item.bytes):>9}  {item.path}  ({item.why})")
    total = size(sum(item.bytes for item in items))
    if not items:
        typer.echo("nothing to remove")
    elif dry_run:
        typer.echo(f"{len(items)} folders, {total}, would be removed")
    elif yes or typer.confirm(f"Remove these {len(items)} folders ({total})?"):
        typer.echo(f"removed {len(items)} folders, {size(remove(items))} freed")
    else:
        typer.echo("nothing was removed")


def _told(stage: StageState) -> str:
    from watari.flow.display import duration

    if stage.state != "done":
        return f"{stage.state}: {stage.error}" if stage.error else stage.state
    figures = [
        f"{name}={_short(value)}" for name, value in stage.metrics.items() if isinstance(value, int | float)
    ]
    return f"done in {duration(stage.seconds or 0.0)}  {' '.join(figures[:3])}"


def _difference(stage: StageDifference) -> dict[str, object]:
    return {
        "name": stage.name,
        "state": stage.state,
        "digest": list(stage.digest),
        "parameters": {name: list(pair) for name, pair in stage.parameters.items()},
        "metrics": {name: list(pair) for name, pair in stage.metrics.items()},
    }


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
