"""`watari plan`, `watari run`, `watari demo`: from a recipe to artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watari.cli.options import (
    DataOption,
    JsonOption,
    OutOption,
    RecipeArgument,
    SetOption,
    StoreOption,
    load_recipe,
    print_json,
)

if TYPE_CHECKING:
    from watari.flow.plan import Chosen, Plan
    from watari.recipe.graph import Recipe

OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="STAGE", help="Just this stage; its inputs must be there."),
]
FromOption = Annotated[
    list[str] | None, typer.Option("--from", metavar="STAGE", help="This stage and all that depends on it.")
]
UntilOption = Annotated[
    list[str] | None, typer.Option("--until", metavar="STAGE", help="This stage and all that it depends on.")
]
ForceOption = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STAGE", help="Make this stage again, even if it is there."),
]


def plan(
    recipe: RecipeArgument,
    out: OutOption = None,
    store: StoreOption = None,
    settings: SetOption = None,
    data: DataOption = None,
    only: OnlyOption = None,
    start: FromOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do.

    The graph, what is there with its size, what will be made and after what. The recipe is checked whole: every
    parameter, every edge, every outside file. Nothing is written.

    Example: watari plan demo --set sft.epochs=2
    """
    from watari.flow.plan import Chosen

    _plan(load_recipe(recipe, settings, data), out, store, _chosen(only, start, until, None, Chosen), as_json)


def run(
    recipe: RecipeArgument,
    out: OutOption = None,
    store: StoreOption = None,
    settings: SetOption = None,
    data: DataOption = None,
    only: OnlyOption = None,
    start: FromOption = None,
    until: UntilOption = None,
    force: ForceOption = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Stages that may run side by side.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run a recipe from where it stands.

    What is finished is not done again. Killed or interrupted? The same command goes on. Ctrl-C stops at the next safe point, twice at once.

    Example: watari run demo --out runs/demo --set dpo.beta=0.2
    """
    from watari.flow.plan import Chosen

    checked = load_recipe(recipe, settings, data)
    chosen = _chosen(only, start, until, force, Chosen)
    if dry_run:
        _plan(checked, out, store, chosen, as_json=False)
        return
    _run(checked, out, store, chosen, jobs, quiet)


def demo(
    out: OutOption = None,
    store: StoreOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Carry a tiny English model across to Japanese.

    Offline, in minutes, on a laptop's processor; then shows where the report is.

    Example: watari demo --out runs/demo
    """
    from watari.flow.plan import Chosen

    # Its stages are small and use one thread each, so two cores hold two of them.
    _run(load_recipe("demo", None, None), out, store, Chosen(), 2, quiet)


def _chosen(
    only: list[str] | None,
    start: list[str] | None,
    until: list[str] | None,
    force: list[str] | None,
    made: type[Chosen],
) -> Chosen:
    return made(only=only or (), start=start or (), until=until or (), force=force or ())


def _root(recipe: Recipe, out: Path | None) -> Path:
    return out if out is not None else Path("runs") / recipe.name


def _run(
    recipe: Recipe, out: Path | None, store: Path | None, chosen: Chosen, jobs: int, quiet: bool
) -> None:
    from watari.artifact.store import Store
    from watari.flow.display import duration, make_display
    from watari.flow.folder import RunFolder, default_store
    from watari.flow.runner import Runner

    root = _root(recipe, out)
    folder = RunFolder(root, Store(default_store(root, store)))
    outcome = Runner(recipe, folder, jobs=jobs, display=make_display(quiet=quiet)).run(chosen)
    made = f"{len(outcome.built)} made, {len(outcome.cached)} cached"
    typer.echo(f"done in {duration(outcome.seconds)}: {made}")
    if outcome.report is not None:
        typer.echo(f"report: {_from_here(outcome.report)}")


def _from_here(path: Path) -> Path:
    """Return a path as a person in this folder would write it; whole where it lies elsewhere."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _plan(recipe: Recipe, out: Path | None, store: Path | None, chosen: Chosen, as_json: bool) -> None:
    from watari.artifact.store import Store
    from watari.flow.folder import default_store
    from watari.flow.plan import check_reachable
    from watari.flow.plan import plan as make_plan

    root = _root(recipe, out)
    planned = make_plan(recipe, Store(default_store(root, store)), chosen)
    check_reachable(recipe, planned, chosen.nodes(recipe))
    if as_json:
        print_json(planned.as_json())
    else:
        _print_plan(planned, recipe)


def _print_plan(planned: Plan, recipe: Recipe) -> None:
    from watari.flow.display import duration, size
    from watari.flow.plan import State

    if recipe.description:
        typer.echo(recipe.description.strip() + "\n")
    widths = [max((len(text) for text in column), default=0) for column in zip(*_cells(planned), strict=True)]
    for stage, cells in zip(planned.stages, _cells(planned), strict=True):
        mark = {State.CACHED: "·", State.RUN: ">", State.LEFT_OUT: " "}[stage.state]
        name, uses = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        if stage.state is State.CACHED:
            told = f"there ({size(stage.bytes or 0)}, took {duration(stage.seconds or 0.0)})"
        elif stage.state is State.LEFT_OUT:
            told = "left out"
        else:
            told = stage.reason if len(stage.reason) < 40 else f"after {len(stage.inputs)} others"
        typer.echo(f"{mark} {name}  {uses}  {told}".rstrip())
    counts = {state: sum(stage.state is state for stage in planned.stages) for state in State}
    typer.echo(f"\n{counts[State.RUN]} to run, {counts[State.CACHED]} there; store: {planned.store}")


def _cells(planned: Plan) -> list[tuple[str, str]]:
    return [(stage.name, stage.uses) for stage in planned.stages]
