"""`watari leakage ...`: where a model slips into another language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.variadic import VariadicCommand

leakage_app = typer.Typer(help="Find where a model slips into another language.", no_args_is_help=True)

FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Rows {id, prompt or messages, response} (.jsonl, .json, .parquet; .gz too), folders of a run, hf://.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]
ExpectedOption = Annotated[
    str | None,
    typer.Option(
        "--expected",
        metavar="LANG",
        help="Language of rows that do not say; default: what the prompt asks for.",
    ),
]
LicensedOption = Annotated[
    str,
    typer.Option(
        "--licensed", help="What rows that do not say may hold of other languages: none, names, any."
    ),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        metavar="FILE",
        help="Prompts of rows that hold none; joined by the columns that both have. Default: prompts.jsonl beside.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE,...", help="Only these; expected_lang is a column, too."),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Curves by this column; default: temperature and model."),
]
ErrorOption = Annotated[
    str, typer.Option("--on-error", help="Rows that cannot be read: stop, or drop (and count them).")
]


@leakage_app.callback()
def _leakage() -> None:
    """Find where a model slips into another language."""


@leakage_app.command("scan", cls=VariadicCommand)
def scan(
    files: FilesArgument,
    expected: ExpectedOption = None,
    licensed: LicensedOption = "none",
    prompts: PromptsOption = None,
    where: WhereOption = None,
    by: ByOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Write a page, every leaking response and all figures there."
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Stands above the page.")] = "",
    on_error: ErrorOption = "stop",
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Find leakage in responses: every event, and how often.

    Counts per 1,000 characters and shares of responses, by class and language, with intervals clustered by prompt; curves
    by temperature; the worst spans. What stands in the prompt, code, quotations and names are no leaks.

    Example: watari leakage scan generations.jsonl --json
    """
    from watari.cli.leaking.scanning import scan_command

    scan_command(
        files, expected=expected, licensed=licensed, prompts=prompts, where=where or [], by=by or [], out=out,
        title=title, on_error=on_error, seed=seed, as_json=json_output,
    )  # fmt: skip


@leakage_app.command("compare", cls=VariadicCommand)
def compare(
    files: FilesArgument,
    a: Annotated[
        list[str] | None,
        typer.Option(
            "--a", metavar="COLUMN=VALUE,...", help="Rows of A, in whatever file; default: the first file."
        ),
    ] = None,
    b: Annotated[
        list[str] | None,
        typer.Option("--b", metavar="COLUMN=VALUE,...", help="Rows of B; default: the second."),
    ] = None,
    expected: ExpectedOption = None,
    licensed: LicensedOption = "none",
    prompts: PromptsOption = None,
    where: WhereOption = None,
    by: ByOption = None,
    on_error: ErrorOption = "stop",
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Compare the leakage of two files or models, paired by prompt.

    Two files are A and B. One file that holds two models is split by them; any other split is said by --a and --b.

    Example: watari leakage compare before.jsonl after.jsonl
    """
    from watari.cli.leaking.comparing import compare_command

    compare_command(
        files, a=a or [], b=b or [], expected=expected, licensed=licensed, prompts=prompts, where=where or [],
        by=by or [], on_error=on_error, seed=seed, as_json=json_output,
    )  # fmt: skip


ModelOption = Annotated[
    Path, typer.Option("--model", metavar="DIR", help="A chat model's folder, run in this process.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="torch device: cpu, cuda, auto.")]


@leakage_app.command("mine", cls=VariadicCommand)
def mine(
    files: FilesArgument,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Rows are written there, as .jsonl.")],
    expected: ExpectedOption = None,
    licensed: LicensedOption = "none",
    prompts: PromptsOption = None,
    on_error: ErrorOption = "stop",
    device: DeviceOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Mend the leaks in responses: rows for `watari train repair`.

    `watari train dpo` takes them too. The model writes on from each leak with the tokens of wrong scripts forbidden; the
    rest of the response stays, and what is mended is scanned again. Give the model that said them. For a teacher, see
    `leakage.mine` in a recipe.

    Example: watari leakage mine generations.jsonl --model chat --out mended.jsonl
    """
    from watari.cli.leaking.mining import mine_command

    mine_command(
        files, model, out, expected=expected, licensed=licensed, prompts=prompts, on_error=on_error,
        device=device, as_json=json_output,
    )  # fmt: skip


@leakage_app.command("mass", cls=VariadicCommand)
def mass(
    files: FilesArgument,
    model: ModelOption,
    expected: Annotated[
        str, typer.Option("--expected", metavar="LANG", help="Responses in this language are measured.")
    ],
    prompts: PromptsOption = None,
    latin: Annotated[
        bool, typer.Option("--latin", help="Latin letters count where the language has other ones.")
    ] = False,
    added_from: Annotated[
        int | None,
        typer.Option(
            "--added-from", metavar="ID", help="First id of a grown vocabulary; default: as the graft says."
        ),
    ] = None,
    bias: Annotated[
        Path | None,
        typer.Option(
            "--bias", metavar="FILE", help="Write a logit bias against what leaks most, for a request's body."
        ),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", help="That bias; -100 forbids.")] = -5.0,
    on_error: ErrorOption = "stop",
    device: DeviceOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Show how near a local model is to leaking.

    The probability of tokens of wrong scripts at every position of its responses; the tokens and places that leak most.

    Example: watari leakage mass generations.jsonl --model chat --expected en --bias bias.json
    """
    from watari.cli.leaking.mining import mass_command

    mass_command(
        files, model, expected=expected, prompts=prompts, on_error=on_error, latin=latin, added_from=added_from,
        bias=bias, strength=strength, device=device, as_json=json_output,
    )  # fmt: skip
