"""`watari leakage compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from watari.cli.evaluation.piped import located
from watari.cli.leaking.options import (
    TELL,
    Settle,
    check_columns,
    language,
    licence,
    once,
    settings,
    stopping,
)
from watari.cli.progress import LineProgress
from watari.errors import UserError
from watari.leakage.rows import Scalar
from watari.leakage.tally import Tally
from watari.pages.noted import counted

BY = ("temperature",)


def compare_command(
    files: Sequence[str],
    *,
    a: Sequence[str],
    b: Sequence[str],
    expected: str | None,
    licensed: str,
    prompts: str | None,
    where: Sequence[str],
    by: Sequence[str],
    on_error: str,
    seed: int,
    as_json: bool,
) -> None:
    """Print the paired comparison of two sides.

    Raises:
        UserError: for options, files or rows that cannot be used, where it is not clear what is to be compared, or the
            two sides have no prompt in common.
    """
    from watari.leakage.comparison import compare
    from watari.leakage.reading import read
    from watari.leakage.summary import Collector, collect, wanted_by

    code, allowed = language(expected), licence(licensed)
    settle = Settle(stopping(on_error))
    wanted = wanted_by(settings(where, "--where"))
    if bool(a) != bool(b):
        raise UserError("--a and --b go together", "say both: --a model=before --b model=after")
    held: list[list[Tally]] = []
    progress = LineProgress()
    with located(once(files)) as locations:
        for location in locations:
            found = Collector(wanted)
            rows = read([location], prompts=prompts)
            for _ in collect(rows, found, expected=code, licensed=allowed, settle=settle):
                if found.responses % TELL == 0:
                    progress.update(found.responses, unit="responses", note=Path(location).name)
            progress.clear()
            held.append(found.tallies)
    names, sides = _sides(files, held, a, b)
    for name, side in zip(names, sides, strict=True):
        if not side:
            chosen = (
                "check --a, --b and --where"
                if a or where
                else "it has no row, none with text, or say --expected"
            )
            raise UserError(f"{name}: no response to compare", chosen)
    check_columns(by, {name for side in sides for tally in side for name in tally.columns})
    columns = {*settings(a, "--a"), *settings(b, "--b")}
    pair = compare(sides[0], sides[1], names=names, by=tuple(by) or BY, chosen=columns, seed=seed)
    if as_json:
        typer.echo(json.dumps(pair.as_json(), ensure_ascii=False))
        return
    from watari.cli.leaking.tables import comparison_text

    typer.echo(comparison_text(pair))


def _sides(
    files: Sequence[str], held: Sequence[Sequence[Tally]], a: Sequence[str], b: Sequence[str]
) -> tuple[tuple[str, str], tuple[list[Tally], list[Tally]]]:
    """Return the names and the tallies of the two sides."""
    everything = [one for side in held for one in side]
    if a:
        chosen = settings(a, "--a"), settings(b, "--b")
        return (_said(chosen[0]), _said(chosen[1])), (
            _taken(everything, chosen[0]),
            _taken(everything, chosen[1]),
        )
    if len(held) == 2:
        names = [_name(file, side) for file, side in zip(files, held, strict=True)]
        if names[0] == names[1]:
            names = [file if file != name else name for file, name in zip(files, names, strict=True)]
        if names[0] == names[1]:
            names = [f"{names[0]} (first)", f"{names[1]} (second)"]
        return (names[0], names[1]), (
            list(held[0]),
            list(held[1]),
        )
    models = list(dict.fromkeys(str(one.columns["model"]) for one in everything if "model" in one.columns))
    if len(models) != 2:
        what = (
            f"{counted(len(models), 'model')} in {counted(len(files), 'file')}"
            if models
            else f"{counted(len(files), 'file')} and no column model"
        )
        said = f": {', '.join(models[:6])}" if models else ""
        raise UserError(
            f"not clear what to compare: {what}{said}",
            "give two files, or say which rows: --a model=before --b model=after",
        )
    return (models[0], models[1]), (
        _taken(everything, {"model": [models[0]]}),
        _taken(everything, {"model": [models[1]]}),
    )


def _taken(everything: Sequence[Tally], chosen: dict[str, list[Scalar]]) -> list[Tally]:
    from watari.leakage.summary import holds

    return [one for one in everything if holds(chosen, one.expected, one.columns)]


def _said(chosen: dict[str, list[Scalar]]) -> str:
    return "; ".join(
        ("" if column == "model" else f"{column}=") + "+".join(map(str, values))
        for column, values in chosen.items()
    )


def _name(file: str, side: Sequence[Tally]) -> str:
    """Return what a file's responses are called: their model, if there is one, else the file."""
    models = {str(one.columns.get("model", "")) for one in side}
    only = next(iter(models)) if len(models) == 1 else ""
    return only or Path(file).name or file
