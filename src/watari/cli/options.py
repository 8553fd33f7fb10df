"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watari.recipe.graph import Recipe

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a packaged one.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Lay a value on the recipe; may be repeated."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        file_okay=False,
        help="Folder that relative paths of a packaged recipe are relative to (default: the current one).",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", file_okay=False, help="The run's folder (default: runs/<name>).")
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", file_okay=False, help="Where artifacts lie (default: $WATARI_STORE, or .store beside)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


def load_recipe(name: str, settings: list[str] | None, data: Path | None) -> Recipe:
    """Return the checked recipe that a command's arguments name."""
    from watari.flow.stages import TABLE
    from watari.recipe import graph
    from watari.recipe.files import parse_set

    here = Path.cwd()
    laid = [parse_set(text, here) for text in settings or []]
    return graph.load(name, TABLE, folder=here, data=data.absolute() if data else None, settings=laid)


def print_json(value: object) -> None:
    """Print one JSON value, indented, non-ASCII characters as themselves."""
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
