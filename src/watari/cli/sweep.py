"""`watari sweep`: a model under every setting of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    model: Annotated[
        str, typer.Option("--model", help="A model's folder, or name=URL of an OpenAI-compatible server.")
    ],
    prompts: Annotated[
        str, typer.Option("--prompts", metavar="FILE", help="Rows {id, prompt or messages, expected_lang?}.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where all of it goes; the same again resumes.")
    ],
    grid: Annotated[
        str, typer.Option("--grid", metavar="FILE", help="YAML of settings whose lists multiply, or `shisa`.")
    ] = "shisa",
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Answers to each prompt in each cell; default: what --effect needs."),
    ] = None,
    effect: Annotated[
        str | None,
        typer.Option(metavar="P:Q", help="Shares of leaking responses to be told apart: 0.10:0.07."),
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", help="Who rates answers: name=URL of a server.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many prompts.")] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where answers are recorded; default: in DIR. Sweeps that share it ask no cell twice.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other parameter (docs/stages.md)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show cells, requests and cost; ask nothing.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")
    ] = False,
) -> None:
    """Sweep samplers against language leakage; recommend one.

    Same prompts and seeds in every cell. A setting that the engine cannot express is refused, one that it does not apply is
    found out first. The same command again goes on; a cell that is done is not asked again.

    Example: watari sweep --model runs/demo/stages/dpo --prompts prompts.jsonl --grid grid.yaml --out sweeps/dpo
    """
    from watari.cli.sweeping import sweep_command

    sweep_command(
        model=model, prompts=prompts, grid=grid, repeats=repeats, effect=effect, judge=judge, limit=limit,
        ledger=ledger, settings=settings or [], out=out, dry_run=dry_run, as_json=json_output,
    )  # fmt: skip
