"""`watari show`, `verify`, `diff`, `clean`: looking at runs that exist, and tidying up after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watari.cli.options import JsonOption, RunArgument, print_json
from watari.errors import CheckFailed

if TYPE_CHECKING:
    from watari.flow.inspect import StageDifference, StageState


def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show the stages of a run and their figures.

    Example: watari show runs/demo --json
    """
    from watari.flow.inspect import show as look

    stages = look(run)
    if as_json:
        print_json({"stages": [asdict(stage) for stage in stages]})
        return
    width = max((len(stage.name) for stage in stages), default=0)
    uses = max((len(stage.uses) for stage in stages), default=0)
    for stage in stages:
        typer.echo(f"{stage.name.ljust(width)}  {stage.uses.ljust(uses)}  {_told(stage)}".rstrip())


def verify(run: RunArgument, as_json: JsonOption = False) -> None:
    """Hash every artifact of a run again.

    Each is compared with its manifest, and with the inputs that are there now. Exit code 3 if anything differs.

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
        typer.echo(
            f"{_many(found.checked, 'artifact')} checked, {_many(len(found.faults), 'fault')}{not_made}"
        )
    if found.faults:
        raise CheckFailed(
            f"{run}: {_many(len(found.faults), 'fault')}",
            "make the damaged stages again: watari run RECIPE --force STAGE",
        )


def diff(
    left: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    right: Annotated[Path, typer.Argument(metavar="OTHER", help="The folder of another.")],
    as_json: JsonOption = False,
) -> None:
    """Compare the parameters and metrics of two runs.

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
    """Remove artifacts that no run refers to.

    They are shown first, and nothing goes unless you say yes.
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
        typer.echo(f"{_many(len(items), 'folder')}, {total}, would be removed")
    elif yes or typer.confirm(f"Remove {_many(len(items), 'folder')} ({total})?"):
        typer.echo(f"removed {_many(len(items), 'folder')}, {size(remove(items))} freed")
    else:
        typer.echo("nothing was removed")


def pack(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make; it must not exist.")],
) -> None:
    """Make one movable folder of a run.

    All its artifacts are copied, and every copy is checked by its hashes. The folder is a run with a store of its own: show, verify, chat and run work on it wherever it lies.

    Example: watari pack runs/demo demo-packed
    """
    from watari.flow.display import size
    from watari.flow.packing import pack as make

    packed = make(run, out)
    not_made = f", {_many(len(packed.missing), 'stage')} not made yet" if packed.missing else ""
    typer.echo(f"{out}: {_many(packed.artifacts, 'artifact')}, {size(packed.bytes)}{not_made}")


def _told(stage: StageState) -> str:
    from watari.flow.display import duration

    if stage.state != "done":
        return f"{stage.state}: {stage.error}" if stage.error else stage.state
    figures = [f"{name}={_short(value)}" for name, value in _figures(stage.metrics)]
    return f"done in {duration(stage.seconds or 0.0)}  {' '.join(figures[:3])}"


def _figures(metrics: dict[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield the main figures: plain numbers at the top, and every `value` of a score further down."""
    for name, value in metrics.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, dict):
            score = value.get("value")
            if isinstance(score, int | float):
                yield path, score
            else:
                yield from _figures(value, path)
        elif not above and isinstance(value, int | float):
            yield path, value


def _difference(stage: StageDifference) -> dict[str, object]:
    return {
        "name": stage.name,
        "state": stage.state,
        "digest": list(stage.digest),
        "parameters": {name: list(pair) for name, pair in stage.parameters.items()},
        "metrics": {name: list(pair) for name, pair in stage.metrics.items()},
    }


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
