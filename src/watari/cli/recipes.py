"""`watari recipe`: the packaged recipes, a recipe with everything resolved, the JSON schema for editors."""

from __future__ import annotations

import typer

from watari.cli.options import DataOption, RecipeArgument, SetOption, load_recipe, print_json

recipe_app = typer.Typer(help="Packaged recipes, and the schema of recipe files.", no_args_is_help=True)


@recipe_app.command("list")
def list_recipes() -> None:
    """List the recipes that travel in the package.

    Example: watari recipe list
    """
    from watari.artifact.yaml_tree import read_tree
    from watari.recipe.files import packaged

    for name, path in packaged().items():
        tree = read_tree(path.read_text("utf-8"), name, path.parent)
        first = str(tree.value.get("description", "")).strip().splitlines()
        typer.echo(f"{name:<16} {first[0] if first else ''}".rstrip())


@recipe_app.command("show")
def show_recipe(name: RecipeArgument) -> None:
    """Print a recipe file, to copy and change.

    Example: watari recipe show demo > mine.yaml
    """
    from pathlib import Path

    from watari.recipe.files import find

    typer.echo(find(name, Path.cwd()).read_text("utf-8"), nl=False)


@recipe_app.command("check")
def check(recipe: RecipeArgument, settings: SetOption = None, data: DataOption = None) -> None:
    """Check a recipe: names, types, parameters, cycles.

    Outside files are not read (see `watari plan`).

    Example: watari recipe check mine.yaml
    """
    checked = load_recipe(recipe, settings, data)
    typer.echo(f"{checked.name}: {len(checked.nodes)} stages, sound")


@recipe_app.command("schema")
def schema() -> None:
    """Write the JSON schema of recipe files to standard output.

    An editor with the YAML language server completes and checks recipes that begin with
    `# yaml-language-server: $schema=recipe.schema.json`.

    Example: watari recipe schema > recipe.schema.json
    """
    from watari.flow.stages import TABLE
    from watari.recipe.schema import recipe_schema

    print_json(recipe_schema(TABLE))


@recipe_app.command("stages")
def stages() -> None:
    """Write the reference of all stage kinds.

    Markdown, with every parameter, its default and what it is.

    Example: watari recipe stages > docs/stages.md
    """
    from watari.flow.stages import TABLE
    from watari.recipe.reference import reference

    typer.echo(reference(TABLE), nl=False)
