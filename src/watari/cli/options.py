"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from watari.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from watari.recipe.graph import Recipe

    Checked = TypeVar("Checked", bound=BaseModel)

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


def check_new_folder(out: Path) -> None:
    """Make sure that `--out` may be written: nothing is there, or an empty folder.

    Raises:
        UserError: if it holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out: {out} is there already", "give a new folder, or empty this one")


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold `--out` for as long as the block runs; its work folder is made.

    Raises:
        UserError: if another process holds it.
    """
    from watari.artifact.manifest import WORK
    from watari.artifact.store import locked

    with locked(out / WORK / ".lock", wait=1.0) as free:
        if not free:
            raise UserError(
                f"--out: {out} is being written by another process", "wait for it, or give another"
            )
        yield


def checked(model: type[Checked], given: dict[str, Any], names: dict[str, str] | None = None) -> Checked:
    """Return the parameters that a command's options make.

    Args:
        model: What checks them.
        given: Values by field.
        names: Options whose name is not their field's.

    Raises:
        UserError: naming the option of the first that is wrong.
    """
    from pydantic import ValidationError

    try:
        return model(**given)
    except ValidationError as error:
        first = error.errors()[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        if not first["loc"]:
            raise UserError(said) from None
        field = str(first["loc"][0])
        option = (names or {}).get(field, field).replace("_", "-")
        raise UserError(f"--{option}: {said}") from None
