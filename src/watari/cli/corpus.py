"""`watari corpus ...`: build a corpus from files, ask what became of a document, look at what was dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.variadic import VariadicCommand

corpus_app = typer.Typer(
    help="Build corpora from raw documents; see why rows were dropped.", no_args_is_help=True
)


class CorpusCommand(VariadicCommand):
    """Options that take several files."""

    variadic = ("--input", "--decontaminate", "--target", "--only", "--set")


@corpus_app.callback()
def _corpus() -> None:
    """Build corpora from raw documents; see why rows were dropped."""


FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", file_okay=False, help="The folder of a corpus that was built.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]


@corpus_app.command("build", cls=CorpusCommand)
def build(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="FILE...",
            help="Documents: .jsonl, .json, .parquet, .txt, .warc, .arrow (.gz, .zst), folders, hf://, s3://.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="The folder to write.")],
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Rules: ja-swallow, ja-llmjp, en-gopher, ..., or a .yaml file."),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CODE...", help="Keep these languages [default: the profile's]."),
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(
            "--decontaminate", metavar="FILE...", help="Evaluation sets whose texts shall not be in it."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="FILE...", help="Select what resembles these texts (DSIR)."),
    ] = None,
    share: Annotated[
        float | None, typer.Option("--share", help="With --target: the share of documents to select.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Name of the source, for rows without one [default: file's name].")
    ] = "",
    license_: Annotated[
        str | None, typer.Option("--license", help="Licence of rows that do not say theirs.")
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer", help="A tokenizer's folder: the report counts tokens too, and `mix` does."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE...", help="Any parameter of corpus.build: --set dedup.near=false."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="pool, datatrove-local, datatrove-ray or datatrove-slurm.")
    ] = "pool",
    workers: Annotated[int, typer.Option("--workers", help="Processes [default: the machine's cores].")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="Of every draw.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, tell what would be read, write nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Build a clean corpus from raw documents.

    Every input row ends in DIR/documents or in DIR/ledger with a reason, a value and a threshold. Stopped or killed,
    the same command goes on. The result is the same bytes for any number of workers and any engine.

    Example: watari corpus build --profile ja-swallow --input pages.jsonl.gz --out corpus --decontaminate jglue/*.json
    """
    from watari.cli.corpora import build_command

    build_command(
        inputs, out, profile=profile, language=language, decontaminate=decontaminate or [], target=target or [],
        share=share, source=source, license_=license_, tokenizer=tokenizer, settings=settings or [], engine=engine, workers=workers,
        seed=seed, dry_run=dry_run, quiet=quiet, as_json=json_output,
    )  # fmt: skip


@corpus_app.command("explain")
def explain(
    folder: FolderArgument,
    doc_id: Annotated[
        str, typer.Argument(metavar="DOC_ID", help="A doc_id, the row's own id, its key or its URL.")
    ],
    json_output: JsonOption = False,
) -> None:
    """Tell what became of one input row, and why.

    Example: watari corpus explain corpus 0f3c9a
    """
    from watari.cli.corpora_shown import explain_command

    explain_command(folder, doc_id, as_json=json_output)


@corpus_app.command("sample")
def sample(
    folder: FolderArgument,
    dropped: Annotated[
        str | None, typer.Option("--dropped", metavar="REASON", help="Rows dropped for this reason.")
    ] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 20,
    seed: Annotated[int | None, typer.Option("--seed", help="Another draw [default: the report's].")] = None,
    json_output: JsonOption = False,
) -> None:
    """Show rows that were kept, or dropped for a reason.

    Example: watari corpus sample corpus --dropped "near duplicate" -n 5
    """
    from watari.cli.corpora_shown import sample_command

    sample_command(folder, dropped, count=count, seed=seed, as_json=json_output)


@corpus_app.command("report")
def report(
    folder: FolderArgument,
    name: Annotated[str, typer.Option("--name", help="What the dataset card calls it.")] = "",
    contact: Annotated[
        str, typer.Option("--contact", help="Whom the card says to ask for a takedown: an address or URL.")
    ] = "",
    hub_id: Annotated[str, typer.Option("--hub-id", help="Its id on the Hub, org/name, for the card.")] = "",
    json_output: JsonOption = False,
) -> None:
    """Write the report and the dataset cards again, print the sums.

    Example: watari corpus report corpus
    """
    from watari.cli.corpora_shown import report_command

    report_command(folder, name=name, contact=contact, hub_id=hub_id, as_json=json_output)


@corpus_app.command("profiles")
def profiles(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One, with every rule.")] = None,
    json_output: JsonOption = False,
) -> None:
    """List the profiles of rules, or one's rules and thresholds.

    Example: watari corpus profiles ja-swallow
    """
    from watari.cli.corpora_shown import profiles_command

    profiles_command(name, as_json=json_output)
