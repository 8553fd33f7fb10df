"""`watari tokenizer ...`: extend, measure, verify, report, trim and convert, outside of any run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.variadic import VariadicCommand

tokenizer_app = typer.Typer(
    help="Extend tokenizers for a new language, measure and verify them.", no_args_is_help=True
)


@tokenizer_app.callback()
def _tokenizer() -> None:
    """Extend tokenizers for a new language, measure and verify them."""


TextOption = Annotated[
    list[str],
    typer.Option(
        "--text", metavar="FILE...", help="Documents: .txt, .jsonl(.gz, .zst), .json, .parquet, or a folder."
    ),
]
MaybeTextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text", metavar="FILE...", help="Documents: .txt, .jsonl(.gz, .zst), .json, .parquet, or a folder."
    ),
]
FieldOption = Annotated[str, typer.Option("--field", help="The column of a row that holds its text.")]
BASE_HELP = "A folder, tokenizer.model, tokenizer.json, or mistral-v1, mistral-v3, tekken."


@tokenizer_app.command("extend", cls=VariadicCommand)
def extend(
    base: Annotated[str, typer.Option("--base", help=BASE_HELP)],
    text: TextOption,
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must be new or empty.")],
    script: Annotated[
        str, typer.Option("--script", help="Language code of the script that new pieces are made of.")
    ] = "ja",
    add: Annotated[
        str | None, typer.Option("--add", help="Pieces to add, e.g. 11008 or 32k [default: 11,008].")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="Instead: grow the vocabulary to this size.")
    ] = None,
    characters_per_token: Annotated[
        float | None, typer.Option("--chars-per-token", help="Instead: until the text has so many.")
    ] = None,
    min_gain: Annotated[
        float | None,
        typer.Option("--min-gain", help="Instead: until a piece saves fewer tokens per million characters."),
    ] = None,
    align: Annotated[
        int, typer.Option("--align", help="Make the size a multiple of this; 1: exactly as asked.")
    ] = 64,
    weight: Annotated[
        list[float] | None,
        typer.Option("--weight", metavar="W...", help="What each FILE counts, in their order [default: 1]."),
    ] = None,
    field: FieldOption = "text",
    unit: Annotated[
        str, typer.Option("--unit", help="Document of a .txt: document, paragraph or line.")
    ] = "document",
    max_length: Annotated[int, typer.Option("--max-length", help="Characters of the longest piece.")] = 16,
    min_frequency: Annotated[
        int, typer.Option("--min-frequency", help="Occurrences when a piece is learned.")
    ] = 2,
    min_sources: Annotated[int, typer.Option("--min-sources", help="Files that a piece must occur in.")] = 1,
    digits: Annotated[
        bool, typer.Option("--digits/--no-digits", help="Let digits stand inside pieces.")
    ] = False,
    cross_word: Annotated[
        bool | None,
        typer.Option("--cross-word/--no-cross-word", help="Let pieces run across punctuation and blanks."),
    ] = None,
    mixed_scripts: Annotated[
        bool, typer.Option("--mixed-scripts/--no-mixed-scripts", help="Let a piece hold kanji and kana both.")
    ] = True,
    forbid: Annotated[
        list[str] | None,
        typer.Option("--forbid", metavar="REGEX...", help="Take no piece in which one is found."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Leave out pieces that end up unused.")
    ] = True,
    fuzz: Annotated[
        int, typer.Option("--fuzz", help="Drawn strings that the certificate is checked on.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the held-out draw and the fuzz.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and count; learn and write nothing.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Extend a tokenizer for a new language.

    New pieces are learned on top of the base's own segmentation. Text without the new script's characters keeps every
    id, and certificate.json beside the tokenizer says what was checked. One document in 20 is held out and measured.

    Example: watari tokenizer extend --base mistral-v1 --text wiki.jsonl.gz --script ja --add 11008 --out extended
    """
    from watari.cli.extending import extend_command

    extend_command(
        base, text, out, weights=weight, field=field, unit=unit, fuzz=fuzz, dry_run=dry_run, as_json=json_output,
        choices={
            "language": script, "add": add, "size": size, "characters_per_token": characters_per_token,
            "min_gain": min_gain, "align": align, "max_length": max_length, "min_frequency": min_frequency,
            "min_sources": min_sources, "digits": digits, "cross_word": cross_word, "mixed_scripts": mixed_scripts,
            "forbid": forbid or [], "prune": prune, "seed": seed,
        },
    )  # fmt: skip


@tokenizer_app.command("measure", cls=VariadicCommand)
def measure(
    tokenizers: Annotated[list[str], typer.Argument(metavar="TOKENIZER...", help=BASE_HELP)],
    text: TextOption,
    field: FieldOption = "text",
    unit: Annotated[
        str, typer.Option("--unit", help="Document of a .txt: document, paragraph or line.")
    ] = "document",
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it as well: .svg, .png or .pdf.")] = None,
    reach: Annotated[
        bool, typer.Option("--reach", help="Also count entries that no text can reach.")
    ] = False,
    context: Annotated[
        int, typer.Option("--context", help="Tokens of the window that a page's share is told of.")
    ] = 4096,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Split pattern of a .tiktoken file, or the name of one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals' bootstrap.")] = 0,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one object for each tokenizer and file.")
    ] = False,
) -> None:
    """Measure tokenizers on text: characters a token, and cost.

    Any tokenizer that tokenizers, sentencepiece or tiktoken reads, on as many files as you like, with 95 % intervals.

    Example: watari tokenizer measure mistral-v1 tekken extended --text news.jsonl --plot measured.svg
    """
    from watari.tokenizer.measure.command import measure_command

    measure_command(
        tokenizers, text, field=field, unit=unit, pattern=pattern, reach=reach, context=context, seed=seed, plot=plot,
        as_json=json_output,
    )  # fmt: skip


@tokenizer_app.command("verify", cls=VariadicCommand)
def verify(
    base: Annotated[str, typer.Argument(metavar="BASE", help=BASE_HELP)],
    extended: Annotated[
        str, typer.Argument(metavar="EXTENDED", help="The tokenizer that claims to extend it.")
    ],
    text: MaybeTextOption = None,
    field: FieldOption = "text",
    script: Annotated[
        str | None,
        typer.Option("--script", help="Target language [default: graft.json's, or by the new tokens]."),
    ] = None,
    fuzz: Annotated[int, typer.Option("--fuzz", help="Drawn strings to check beside the text.")] = 20_000,
    reference: Annotated[
        int, typer.Option("--reference", help="Lines for the slow reference encoders.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the drawn strings.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print the sheet as JSON.")] = False,
) -> None:
    """Prove that a tokenizer extends another, or show where not.

    One line an invariant, with the shortest text that breaks it. For anybody's tokenizer. Exit code 3 if one fails.

    Example: watari tokenizer verify mistral-v1 extended --text english.txt code.jsonl
    """
    from watari.cli.options import print_json
    from watari.cli.progress import LineProgress
    from watari.errors import CheckFailed
    from watari.tokenizer.verify import render, verify_command

    progress = LineProgress()
    sheet = verify_command(
        base, extended, text or [], field=field, script=script, fuzz=fuzz, seed=seed, reference=reference,
        progress=progress,
    )  # fmt: skip
    progress.clear()
    if json_output:
        print_json(sheet.to_json())
    else:
        typer.echo(render(sheet))
    if not sheet.holds:
        raise CheckFailed(
            f"{extended}: {len(sheet.failed)} of {len(sheet.results)} invariants fail: {', '.join(sheet.failed)}"
        )


@tokenizer_app.command("convert")
def convert(
    tokens: Annotated[
        Path, typer.Argument(metavar="TOKENS", help="A folder of packed tokens (tokens.pack).")
    ],
    tokenizer: Annotated[
        Path, typer.Argument(metavar="TOKENIZER", help="The folder of an extended tokenizer.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write; it must not exist.")],
    back: Annotated[
        bool, typer.Option("--back", help="From the extended tokenizer's ids to its base's.")
    ] = False,
) -> None:
    """Convert packed tokens to an extended tokenizer's ids.

    Exactly what tokenising the documents again would give, without their text.

    Example: watari tokenizer convert runs/mine/stages/packed extended packed-extended
    """
    from watari.cli.progress import LineProgress
    from watari.tokenizer.convert import convert_tokens

    progress = LineProgress()
    done = convert_tokens(tokens, tokenizer, out, back=back, progress=progress)
    progress.clear()
    typer.echo(
        f"{done.documents:,} documents: {done.tokens_before:,} -> {done.tokens:,} tokens; written: {out}"
    )


@tokenizer_app.command("trim", cls=VariadicCommand)
def trim(
    base: Annotated[str, typer.Option("--base", help="A folder, tokenizer.model or tokenizer.json.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must be new or empty.")],
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="SCRIPT...", help="Languages or code points to leave out."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="SCRIPT...", help="Instead: leave out every script but these."),
    ] = None,
    text: MaybeTextOption = None,
    field: FieldOption = "text",
    min_frequency: Annotated[
        int | None,
        typer.Option("--min-frequency", help="Leave out tokens that come out of --text more seldom."),
    ] = None,
    align: Annotated[
        int, typer.Option("--align", help="Make the size a multiple of this; 1: as it comes.")
    ] = 64,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Trim a tokenizer: leave out what nobody needs.

    The inverse of extend, with the same kind of proof. `model.trim` in a recipe picks the rows of a model.

    Example: watari tokenizer trim --base mistral-v1 --drop ko ru ar --out trimmed
    """
    from watari.cli.trimming import trim_command

    trim_command(
        base, out, text or [], field=field, as_json=json_output,
        asked={"drop": drop or [], "keep": keep, "min_frequency": min_frequency, "align": align},
    )  # fmt: skip


@tokenizer_app.command("report", cls=VariadicCommand)
def report(
    tokenizer: Annotated[
        Path, typer.Argument(metavar="TOKENIZER", help="The folder of an extended tokenizer.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("tokenizer.html"),
    base: Annotated[
        str | None, typer.Option("--base", help=BASE_HELP + " [default: cut from the folder]")
    ] = None,
    text: MaybeTextOption = None,
    field: FieldOption = "text",
    unit: Annotated[
        str, typer.Option("--unit", help="Document of a .txt: document, paragraph or line.")
    ] = "document",
    hidden: Annotated[
        list[int] | None,
        typer.Option(
            "--hidden", metavar="N...", help="Hidden sizes to count parameters for [default: 4096]."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the intervals' bootstrap.")] = 0,
) -> None:
    """Show what an extended tokenizer gained, as a page.

    Characters a token against the number of pieces, what the next ones cost and save, the new pieces, and your own
    text segmented by both. English and Japanese.

    Example: watari tokenizer report extended --base mistral-v1 --text news.jsonl --out tokenizer.html
    """
    from watari.tokenizer.page.command import report_command

    page = report_command(
        tokenizer,
        out,
        base=base,
        files=text or [],
        field=field,
        unit=unit,
        hidden=hidden or [4096],
        seed=seed,
    )
    typer.echo(f"written: {page}")
