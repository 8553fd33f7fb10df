"""The bodies of `watari translate ...`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.options import held
from watari.cli.training import StoppableProgress
from watari.cli.translating_inputs import Asked, conversations, count_of
from watari.cli.translating_summary import summary
from watari.errors import DryRun, UserError

if TYPE_CHECKING:
    from watari.synth.translate_params import Params

KIND = "synth.translate"
LEDGER = "ledger.sqlite"
RUN = "translate.json"
"""Beside the ledger: that this folder is ours to write in."""
__all__ = ["Asked", "compare_command", "run_command"]


class RowsProgress(StoppableProgress):
    """One line: rows, what the stage notes (accepted, spent), rows a second, how long it will take."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._began = time.monotonic()

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Show how far the work is."""
        from watari.flow.display import duration

        seconds = time.monotonic() - self._began
        rate = done / seconds if seconds > 1 else 0.0
        parts = [f"{done:,.0f}" + (f" of {total:,.0f}" if total else "") + " rows", note]
        parts.append(f"{rate:,.1f}/s" if rate else "")
        if rate and total and done < total:
            parts.append(f"{duration((total - done) / rate)} left")
        super().update(0, None, note=", ".join(part for part in parts if part))


def run_command(
    file: str,
    asked: Asked,
    out: Path,
    *,
    source: str,
    target: str,
    register: str,
    glossary: str | None,
    human: str | None,
    limit: int | None,
    workers: int | None,
    settings: Sequence[str],
    seed: int,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Translate `file` into `out`, or go on with it.

    Raises:
        UserError: for an option or row that cannot be used.
        StageFailed, Interrupted: as the stage does.
    """
    from watari.synth.glossary import read_glossary

    given = _given(asked, out, source, target, register, glossary, seed) | {
        "label": "translate",
        "human": human,
        "check_workers": workers,
        "dry_run": dry_run,
        # A file on the command line is not known to be clean: one bad row in a million is told, not the end.
        "on_error": "drop",
    }
    params = _params(given, settings)
    read_glossary(params.glossary)
    if dry_run:
        _dry_run(params, file, limit, as_json=as_json)
        return
    _run(params, file, limit, out, quiet=quiet, as_json=as_json)


def compare_command(
    file: str,
    asked: Asked,
    out: Path,
    *,
    sample: int,
    source: str,
    target: str,
    register: str,
    glossary: str | None,
    settings: Sequence[str],
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Translate a sample by each model and write what tells them apart.

    Raises:
        UserError: for an option or row that cannot be used, and for less than two models.
        StageFailed, Interrupted: as asking does.
    """
    from watari.cli.options import print_json
    from watari.synth.comparison import compare

    given = _given(asked, out, source, target, register, glossary, seed) | {
        "label": "compare",
        "on_error": "drop",
    }
    params = _params(given, settings)
    if len(params.teachers) < 2:
        raise UserError("--model: one translator alone compares with nothing", "give two or more")
    _claim(out)
    progress = RowsProgress(quiet=quiet)
    with progress.listening():
        found = compare(params, conversations(file, source=source), sample, out, progress)
    progress.clear()
    if as_json:
        print_json({**found.as_json(), "out": str(out)})
        return
    for line in found.lines():
        typer.echo(line)
    typer.echo(f"page: {out / 'compare.html'}")
    typer.echo(f"blind sheet: {out / 'sheet.html'} (key: {out / 'sheet.key.json'})")


def _given(
    asked: Asked, out: Path, source: str, target: str, register: str, glossary: str | None, seed: int
) -> dict[str, Any]:
    return {
        "data": [{"from": "file"}],
        "teachers": asked.teachers(),
        "source_language": source,
        "language": target,
        "register": register,
        "glossary": glossary,
        "seed": seed,
        "budget": asked.limits(),
        "ledger": str(out / LEDGER),
    }


def _params(given: dict[str, Any], settings: Sequence[str]) -> Params:
    from watari.cli.training_params import lay
    from watari.synth.translate_params import Params

    for option, code in (
        ("--source-lang", given["source_language"]),
        ("--target-lang", given["language"]),
    ):
        if not (2 <= len(code) <= 3 and code.isalpha() and code.isascii() and code.islower()):
            raise UserError(
                f"{option}: '{code}' is no language code", "two small letters of ISO 639, e.g. en, ja"
            )
    values = {name: value for name, value in given.items() if value is not None}
    return lay(Params, values, settings, KIND, inputs=("data", "teachers", "ledger"))


def _dry_run(params: Params, file: str, limit: int | None, *, as_json: bool) -> None:
    from watari.cli.options import print_json
    from watari.synth.glossary import Glossary, read_glossary
    from watari.synth.human import read_human
    from watari.synth.translate_estimate import estimate

    glossary = Glossary({**read_glossary(params.glossary).terms, **params.terms})
    people = read_human(params.human) if params.human else {}
    found = estimate(
        params, conversations(file, source=params.source_language, limit=limit), glossary, people
    )
    if as_json:
        print_json(found.as_json())
        return
    for line in found.lines():
        typer.echo(line)
    raise DryRun("dry run: nothing was sent, nothing was written")


def _run(params: Params, file: str, limit: int | None, out: Path, *, quiet: bool, as_json: bool) -> None:
    from watari.artifact import atomic
    from watari.artifact.manifest import WORK, now
    from watari.cli.options import print_json
    from watari.synth.report import report
    from watari.synth.translate import translate_rows

    _claim(out)
    rows = conversations(file, source=params.source_language, limit=limit)
    progress = RowsProgress(quiet=quiet)
    with held(out):
        making = out / WORK / "made"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        _tell_of_another(out, file, params)
        started, began = now(), time.monotonic()
        with progress.listening():
            result = translate_rows(params, rows, making, progress, total=count_of(file, limit))
        progress.clear()
        seconds = time.monotonic() - began
        report(making, result.metrics, stage=KIND)
        atomic.sync_tree(making)
        digest = _publish(out, making, params, result, started, seconds)
    shutil.rmtree(out / WORK, ignore_errors=True)
    if as_json:
        print_json(
            {"metrics": result.metrics, "performance": result.performance, "digest": digest, "out": str(out)}
        )
        return
    for line in summary(result.metrics, result.performance, out, seconds):
        typer.echo(line)


def _claim(out: Path) -> None:
    """Make sure that `out` is new, empty, or a folder of this command.

    Raises:
        UserError: if it holds something else.
    """
    from watari.artifact import atomic
    from watari.cli.options import check_new_folder

    if not (out / RUN).is_file() and not (out / LEDGER).is_file():
        check_new_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / RUN).is_file():
        atomic.write_json(out / RUN, {"made_by": "watari translate"})


def _tell_of_another(out: Path, file: str, params: Params) -> None:
    """Say so, if `out` holds what was made of another file or in other languages, and note what it will hold."""
    import json

    from watari.artifact import atomic

    now = {
        "made_by": "watari translate",
        "file": file if "://" in file else str(Path(file).resolve()),
        "source_language": params.source_language,
        "language": params.language,
    }
    try:
        before = json.loads((out / RUN).read_text("utf-8"))
    except (OSError, ValueError):
        before = {}
    if not isinstance(before, dict) or before == now:
        return
    if before.get("file") is not None and (out / "rows.parquet").is_file():
        was = f"{before['file']} ({before.get('source_language')} to {before.get('language')})"
        typer.echo(
            f"watari: {out} holds what was made of {was}; it is replaced at the end, its answers stay in the ledger",
            err=True,
        )
    atomic.write_json(out / RUN, now)


def _publish(out: Path, making: Path, params: Params, result: Any, started: str, seconds: float) -> str:
    """Put what was made in its place, the manifest last; return its digest."""
    from watari.artifact.alone import identity_of, outside_of, put_in_place, write_manifest_alone
    from watari.synth.human import FILE as HUMAN
    from watari.synth.human import carry_over
    from watari.synth.translate import STAGE

    # Before anything moves: the human file that was given may be the one that is replaced.
    outside = outside_of(params)
    identity = identity_of(STAGE, params, outside)
    carry_over(out / HUMAN, making / HUMAN)
    human = (making / HUMAN).exists()
    files = put_in_place(making, out)
    if not human:
        (out / HUMAN).unlink(missing_ok=True)
    return write_manifest_alone(
        out, STAGE, params, identity, files, result, outside=outside, started=started, seconds=seconds
    )
