"""`watari train`: one training stage without a recipe, its preflight, and a look at what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.options import (
    DataOption,
    JsonOption,
    OutOption,
    RecipeArgument,
    SetOption,
    StoreOption,
)
from watari.cli.variadic import VariadicCommand

train_app = typer.Typer(
    help="Train a model: pre-training, SFT, DPO; one stage, no recipe.", no_args_is_help=True
)

ModelOption = Annotated[Path, typer.Option("--model", help="The model to go on from: a Hugging Face folder.")]
FolderOption = Annotated[
    Path | None,
    typer.Option("--out", file_okay=False, help="The folder to write; one that was interrupted goes on."),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter (docs/stages.md); may be repeated."),
]
EvaluateOption = Annotated[
    list[str] | None,
    typer.Option("--evaluate", metavar="FILE...", help="Held-back documents to measure on the way."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Stop after the preflight and show it; nothing is kept.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


class TrainCommand(VariadicCommand):
    """A command whose data options take several words."""

    variadic = ("--data", "--replay", "--evaluate")


@train_app.callback()
def _train() -> None:
    """Train a model: pre-training, SFT, DPO; one stage, no recipe."""


@train_app.command("pretrain", cls=TrainCommand)
def pretrain(
    model: ModelOption,
    data: Annotated[
        list[str],
        typer.Option(
            "--data", metavar="FILE...", help="Packed tokens, or documents, which are packed first."
        ),
    ],
    replay: Annotated[
        list[str] | None,
        typer.Option("--replay", metavar="FILE...", help="The same, of what the base has learned."),
    ] = None,
    evaluate: EvaluateOption = None,
    out: FolderOption = None,
    settings: ParameterOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with pre-training on packed tokens or documents.

    Killed or interrupted? The same command goes on.

    Example: watari train pretrain --model base --data web.jsonl --out more --set tokens=50M
    """
    from watari.cli.training import train_command

    train_command(
        "train.pretrain",
        model,
        {"data": data, "replay": replay, "evaluate": evaluate},
        out,
        settings,
        dry_run=dry_run,
        quiet=quiet,
        as_json=as_json,
    )


@train_app.command("sft", cls=TrainCommand)
def sft(
    model: ModelOption,
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="FILE...", help="Conversations: .jsonl, .parquet, or an artifact."),
    ],
    evaluate: EvaluateOption = None,
    out: FolderOption = None,
    settings: ParameterOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune on conversations.

    Killed or interrupted? The same command goes on.

    Example: watari train sft --model base --data talks.jsonl --out chat --set neftune_alpha=5
    """
    from watari.cli.training import train_command

    train_command(
        "train.sft",
        model,
        {"data": data, "evaluate": evaluate},
        out,
        settings,
        dry_run=dry_run,
        quiet=quiet,
        as_json=as_json,
    )


@train_app.command("dpo", cls=TrainCommand)
def dpo(
    model: ModelOption,
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="FILE...", help="Preferences: .jsonl, .parquet, or an artifact."),
    ],
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="The model to hold to [default: the weights it starts from]."),
    ] = None,
    evaluate: EvaluateOption = None,
    out: FolderOption = None,
    settings: ParameterOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tune on preferences (DPO).

    Killed or interrupted? The same command goes on.

    Example: watari train dpo --model chat --data pairs.jsonl --out tuned --set beta=0.1
    """
    from watari.cli.training import train_command

    train_command(
        "train.dpo",
        model,
        {"data": data, "evaluate": evaluate, "reference": [str(reference)] if reference else None},
        out,
        settings,
        dry_run=dry_run,
        quiet=quiet,
        as_json=as_json,
    )


@train_app.command("repair", cls=TrainCommand)
def repair(
    model: ModelOption,
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE...",
            help="Preferences with `spans`, as `watari leakage mine` writes them: .jsonl, .parquet, or an artifact.",
        ),
    ],
    evaluate: EvaluateOption = None,
    out: FolderOption = None,
    settings: ParameterOption = None,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a model's leaks back, and leave the rest as it is.

    Tokens of scripts that a row's language is not written with become unlikely in its mended reply; what the model says of
    all others is held. The single tokens that leaked: --set alpha_ul=1 --set alpha_rf=0.1 (docs/leakage.md).

    Killed or interrupted? The same command goes on.

    Example: watari train repair --model chat --data mended.jsonl --out repaired --set lr=2e-5
    """
    from watari.cli.training import train_command

    train_command(
        "train.repair",
        model,
        {"data": data, "evaluate": evaluate},
        out,
        settings,
        dry_run=dry_run,
        quiet=quiet,
        as_json=as_json,
    )


@train_app.command("preflight")
def preflight(
    recipe: RecipeArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A training stage of it.")],
    out: OutOption = None,
    store: StoreOption = None,
    settings: SetOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a recipe's training stage would do, without it.

    Its inputs must be in the store. Counts, lengths, BOS and EOS, a sample, the norms of new rows, memory, the
    schedule, one trial pass at the heaviest batch. Nothing is written.

    Example: watari train preflight demo sft
    """
    from watari.cli.training import preflight_command

    preflight_command(recipe, stage, out, store, settings, data, as_json=as_json)


@train_app.command("show-mask")
def show_mask(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Has the tokenizer and the template.")],
    rows: Annotated[
        Path, typer.Argument(metavar="ROWS", help="Conversations or preferences: a file or an artifact.")
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows.")] = 5,
    row_id: Annotated[list[str] | None, typer.Option("--id", help="Show this row; may be repeated.")] = None,
    template: Annotated[
        str, typer.Option("--template", help="As in train.sft: model, shisa, swallow.")
    ] = "model",
    template_file: Annotated[Path | None, typer.Option("--template-file", help="A .jinja template.")] = None,
    loss_on: Annotated[str, typer.Option("--loss-on", help="assistant: every reply; last.")] = "assistant",
    too_long: Annotated[str, typer.Option("--too-long", help="As in train.sft: drop, cut.")] = "drop",
    sequence: Annotated[int, typer.Option("--sequence", min=8, help="Longest sequence, in tokens.")] = 4096,
    as_json: JsonOption = False,
) -> None:
    """Show which tokens of conversations are trained.

    Coloured on a terminal; elsewhere trained stretches stand in ⟦ ⟧ and tokens are parted by ¦.

    Example: watari train show-mask runs/demo/stages/sft talks.jsonl --limit 1
    """
    from watari.cli.training import show_mask_command

    show_mask_command(
        model,
        rows,
        limit=limit,
        ids=row_id or [],
        template=template,
        template_file=template_file,
        loss_on=loss_on,
        too_long=too_long,
        sequence=sequence,
        as_json=as_json,
    )
