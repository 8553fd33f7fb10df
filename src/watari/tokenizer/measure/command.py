"""The body of `watari tokenizer measure`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from watari.tokenizer.measure.comparison import Comparison, compare_files
from watari.tokenizer.measure.figures import CONTEXT


def measure_command(
    tokenizers: Sequence[str],
    files: Sequence[str],
    *,
    field: str = "text",
    unit: str = "document",
    pattern: str | None = None,
    reach: bool = False,
    context: int = CONTEXT,
    seed: int = 0,
    plot: Path | None = None,
    as_json: bool = False,
) -> Comparison:
    """Measure tokenizers on files and print what was found to standard output: tables, or a JSON list.

    Args:
        tokenizers, files, field, unit, pattern, reach, context, seed: See `compare_files`.
        plot: Where to draw it as well: .svg, .png or .pdf.
        as_json: Print `Comparison.to_json` instead of tables.

    Raises:
        UserError: naming what cannot be read or written.
    """
    from watari.tokenizer.measure.plot import check_plot, write_plot

    if plot is not None:
        check_plot(plot)
    comparison = compare_files(
        tokenizers,
        files,
        field=field,
        unit=unit,
        pattern=pattern,
        reach=reach,
        context=context,
        seed=seed,
    )
    if plot is not None:
        write_plot(comparison, plot)
    if as_json:
        print(json.dumps(comparison.to_json(), ensure_ascii=False, indent=2))
    else:
        from rich.console import Console

        from watari.tokenizer.measure.table import print_tables

        print_tables(comparison, Console(highlight=False))
    return comparison
