"""`watari leakage compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from watari.cli.evaluation.piped import readable
from watari.cli.leaking.options import Settle, language, licence, settings, stopping
from watari.errors import UserError
from watari.leakage.rows import Scalar
from watari.leakage.scan import Scanned
from watari.leakage.tally import Tally, tally_of

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
    held: list[list[Scanned]] = []
    with readable(files) as paths:
        for path in paths:
            found = Collector(wanted)
            rows = read([str(path)], prompts=prompts)
            scanned = collect(rows, found, expected=code, licensed=allowed, settle=settle)
            held.append([one for one in scanned if one.judged])
    names, sides = _sides(files, held, a, b)
    for name, side in zip(names, sides, strict=True):
        if not side:
            raise UserError(f"{name}: no response to compare", "check --a, --b and --where")
    pair = compare(sides[0], sides[1], names=names, by=tuple(by) or BY, seed=seed)
    if as_json:
        typer.echo(json.dumps(pair.as_json(), ensure_ascii=False))
        return
    from watari.cli.leaking.tables import comparison_text

    typer.echo(comparison_text(pair))


def _sides(
    files: Sequence[str], held: Sequence[Sequence[Scanned]], a: Sequence[str], b: Sequence[str]
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
            [tally_of(one) for one in held[0]],
            [tally_of(one) for one in held[1]],
        )
    models = list(
        dict.fromkeys(str(one.row.columns["model"]) for one in everything if "model" in one.row.columns)
    )
    if len(models) != 2:
        what = (
            f"{len(models)} models in {len(files)} files"
            if models
            else f"{len(files)} files and no column model"
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


def _taken(everything: Sequence[Scanned], chosen: dict[str, list[Scalar]]) -> list[Tally]:
    from watari.leakage.summary import wanted_by

    takes = wanted_by(chosen)
    return [tally_of(one) for one in everything if takes is None or takes(one)]


def _said(chosen: dict[str, list[Scalar]]) -> str:
    return "; ".join(
        ("" if column == "model" else f"{column}=") + "+".join(map(str, values))
        for column, values in chosen.items()
    )


def _name(file: str, side: Sequence[Scanned]) -> str:
    """Return what a file's responses are called: their model, if there is one, else the file."""
    models = {str(one.row.columns.get("model", "")) for one in side}
    only = next(iter(models)) if len(models) == 1 else ""
    return only or Path(file).name or file
