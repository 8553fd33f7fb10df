"""`watari average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import typer

from watari.cli.variadic import VariadicCommand


class AverageCommand(VariadicCommand):
    """`--weights 0.3 0.7` takes every word up to the next option."""

    variadic: ClassVar[tuple[str, ...]] = ("--weights",)


def average(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Model folders, or stages of a run.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write; it must be new or empty.")],
    weights: Annotated[
        list[float] | None,
        typer.Option("--weights", metavar="W...", help="One a model [default: all alike]."),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="linear, or slerp between two models (docs/training.md).")
    ] = "linear",
    snapshots: Annotated[
        int, typer.Option("--snapshots", min=0, help="Average the last so many snapshots of each instead.")
    ] = 0,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, bfloat16 or float16 [default: as in the first model]."),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Average models of one architecture and one tokenizer.

    Files are streamed, so the models need not fit in memory. Config, tokenizer and chat template are the first one's.

    Example: watari average runs/mine/stages/sft runs/mine/stages/dpo --weights 0.3 0.7 --out averaged
    """
    from watari.cli.options import check_new_folder, checked, print_json
    from watari.cli.progress import LineProgress
    from watari.model.average import Params, members_of
    from watari.model.averaging import average_models
    from watari.pretrained import find_model

    asked = checked(
        Params,
        {
            "models": [str(model) for model in models],
            "weights": weights or None,
            "method": method,
            "snapshots": snapshots,
            "dtype": dtype,
        },
    )
    members = members_of([(str(model), find_model(model)) for model in models], asked.snapshots)
    check_new_folder(out)
    progress = LineProgress()
    figures = average_models(
        members, out, method=asked.method, weights=asked.weights, dtype=asked.dtype, progress=progress
    )
    progress.clear()
    if json_output:
        print_json({**figures, "out": str(out)})
        return
    for name, share, distance in zip(
        figures["members"], figures["weights"], figures["distances"], strict=True
    ):
        typer.echo(f"{share:.4g} × {name}: {100 * distance:.3g} % of its length from the average")
    typer.echo(
        f"{figures['parameters']:,} parameters; farthest: {figures['farthest_tensor']}; written: {out}"
    )
