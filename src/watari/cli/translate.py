"""`watari translate ...`: translate a file of conversations; compare translators on a sample of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.variadic import VariadicCommand

translate_app = typer.Typer(
    help="Translate conversations, checked; compare translators.", no_args_is_help=True
)


class TranslateCommand(VariadicCommand):
    """Options that may be given once for each teacher."""

    variadic = (
        "--endpoint",
        "--model",
        "--key-env",
        "--price-in",
        "--price-out",
        "--set",
    )


@translate_app.callback()
def _translate() -> None:
    """Translate conversations, checked; compare translators."""


FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="Conversations: messages, ShareGPT or Alpaca rows; .jsonl, .parquet, hf://, ..."
    ),
]
EndpointOption = Annotated[
    list[str],
    typer.Option(
        "--endpoint",
        metavar="URL...",
        help="Base URLs up to /v1, cheapest first; one for all models, or one each.",
    ),
]
ModelOption = Annotated[list[str], typer.Option("--model", metavar="NAME...", help="Models, cheapest first.")]
OutOption = Annotated[
    Path, typer.Option("--out", file_okay=False, help="The folder to write; run again, it goes on.")
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option("--key-env", metavar="VARIABLE...", help="Environment variables that hold the keys."),
]
PriceInOption = Annotated[
    list[float] | None,
    typer.Option(
        "--price-in", min=0, metavar="USD...", help="Price of a million prompt tokens; one, or one each."
    ),
]
PriceOutOption = Annotated[
    list[float] | None,
    typer.Option("--price-out", min=0, metavar="USD...", help="Price of a million completion tokens."),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget-usd", min=0, help="What may be spent at most; needed where something has a price."
    ),
]
TokensOption = Annotated[
    str | None, typer.Option("--budget-tokens", metavar="N", help="Tokens at most, e.g. 5M.")
]
RequestsOption = Annotated[
    str | None, typer.Option("--budget-requests", metavar="N", help="Requests at most.")
]
SourceOption = Annotated[str, typer.Option("--source-lang", metavar="CODE", help="Language of the data.")]
TargetOption = Annotated[str, typer.Option("--target-lang", metavar="CODE", help="Language translated into.")]
RegisterOption = Annotated[str, typer.Option("--register", help="polite, plain, or keep the source's.")]
GlossaryOption = Annotated[
    str | None, typer.Option("--glossary", metavar="FILE", help="Terms: .yaml, .csv, .tsv, .json.")
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, help="Requests in flight at most [default: finds what helps]."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE...", help="Any parameter of synth.translate: --set repairs=2."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of every draw.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]


@translate_app.command("run", cls=TranslateCommand)
def run(
    file: FileArgument,
    endpoints: EndpointOption,
    models: ModelOption,
    out: OutOption,
    keys: KeyOption = None,
    prices_in: PriceInOption = None,
    prices_out: PriceOutOption = None,
    budget: BudgetOption = None,
    budget_tokens: TokensOption = None,
    budget_requests: RequestsOption = None,
    source: SourceOption = "en",
    target: TargetOption = "ja",
    register: RegisterOption = "polite",
    glossary: GlossaryOption = None,
    human: Annotated[
        str | None, typer.Option("--human", metavar="FILE", help="A human.jsonl that was filled in.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")] = None,
    concurrency: ConcurrencyOption = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Processes for the checks [default: the cores but one]."),
    ] = None,
    settings: SetOption = None,
    seed: SeedOption = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell rows, tokens and cost; send nothing, write nothing.")
    ] = False,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> None:
    """Translate a file of conversations, every row checked.

    Several --model make a ladder: what fails the checks is mended, then goes to the next model, at last to
    DIR/human.jsonl. Every answer is in DIR/ledger.sqlite before it is read: stopped or killed, the same command goes on
    and pays for nothing twice; `watari ledger retry DIR --check CODE` has rows asked anew by the next run.

    Example: watari translate run chats.jsonl --endpoint http://localhost:8000/v1 --model qwen --out ja --budget-usd 5
    """
    from watari.cli.translating import Asked, run_command

    run_command(
        file, Asked(endpoints, models, keys or [], prices_in or [], prices_out or [], budget, budget_tokens, budget_requests,
                    concurrency),
        out, source=source, target=target, register=register, glossary=glossary, human=human, limit=limit, workers=workers,
        settings=settings or [], seed=seed, dry_run=dry_run, quiet=quiet, as_json=json_output,
    )  # fmt: skip


@translate_app.command("compare", cls=TranslateCommand)
def compare(
    file: FileArgument,
    endpoints: EndpointOption,
    models: ModelOption,
    out: OutOption,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Rows, drawn by seed.")] = 100,
    keys: KeyOption = None,
    prices_in: PriceInOption = None,
    prices_out: PriceOutOption = None,
    budget: BudgetOption = None,
    budget_tokens: TokensOption = None,
    budget_requests: RequestsOption = None,
    source: SourceOption = "en",
    target: TargetOption = "ja",
    register: RegisterOption = "polite",
    glossary: GlossaryOption = None,
    concurrency: ConcurrencyOption = None,
    settings: SetOption = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
    json_output: JsonOption = False,
) -> None:
    """Compare translators on the same rows, side by side.

    Each --model translates the same sample once, without repair. DIR gets comparison.json, compare.html, and a blind
    sheet for people: sheet.jsonl and sheet.html with the sides shuffled, sheet.key.json to be kept from them.

    Example: watari translate compare chats.jsonl --endpoint http://localhost:8000/v1 --model a b --out cmp --sample 200
    """
    from watari.cli.translating import Asked, compare_command

    compare_command(
        file, Asked(endpoints, models, keys or [], prices_in or [], prices_out or [], budget, budget_tokens, budget_requests,
                    concurrency),
        out, sample=sample, source=source, target=target, register=register, glossary=glossary,
        settings=settings or [], seed=seed, quiet=quiet, as_json=json_output,
    )  # fmt: skip
