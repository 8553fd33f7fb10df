"""The body of `watari corpus build`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watari.cli.options import held
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.artifact.stage import Inputs
    from watari.corpus.params import Params

KIND = "corpus.build"
RUN = "run.json"


def build_command(
    inputs: Sequence[str],
    out: Path,
    *,
    profile: str | None,
    language: list[str] | None,
    decontaminate: Sequence[str],
    target: Sequence[str],
    share: float | None,
    source: str,
    license_: str | None,
    settings: Sequence[str],
    engine: str,
    workers: int,
    tokenizer: Path | None,
    seed: int,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build a corpus in `out`, or go on with one that was interrupted there.

    Raises:
        UserError: for an option or file that cannot be used.
        StageFailed, Interrupted: as the stage does.
    """
    given: dict[str, Any] = {
        "sources": [
            {
                "path": place,
                **({"source": source} if source else {}),
                **({"license": license_} if license_ else {}),
            }
            for place in inputs
        ],
        "decontaminate": [{"path": place} for place in decontaminate],
        "engine": engine,
        "workers": workers,
        "seed": seed,
    }
    if profile is not None:
        own = profile.endswith((".yaml", ".yml"))
        given["profile_file" if own else "profile"] = str(Path(profile).absolute()) if own else profile
    if language:
        given["language"] = language
    if target:
        given["select"] = {"target": [{"path": place} for place in target], "keep": {"share": share or 0.25}}
    elif share is not None:
        raise UserError("--share: of what resembles which texts?", "give --target FILE too")
    if tokenizer is not None:
        given["tokenizer"] = {"from": "tokenizer"}
    params = corpus_params(given, settings)
    if dry_run:
        _dry_run(params, as_json=as_json)
    else:
        _build(params, out, tokenizer, quiet=quiet, as_json=as_json)


def corpus_params(given: dict[str, Any], settings: Sequence[str]) -> Params:
    """Return the stage's parameters, with those of `--set name=value` laid on.

    Raises:
        UserError: naming the first that is wrong.
    """
    from watari.cli.training_params import lay
    from watari.corpus.params import Params

    return lay(Params, given, settings, KIND, inputs=("sources", "tokenizer"))


def _dry_run(params: Params, *, as_json: bool) -> None:
    """Check everything that a build checks before it reads, and tell what it would read."""
    import tempfile

    from watari.artifact.stage import Inputs, Silent
    from watari.cli.options import print_json
    from watari.corpus import build
    from watari.corpus.work import Work
    from watari.flow.display import size

    with tempfile.TemporaryDirectory(prefix="watari-dry-run-") as scratch:
        plan = build.planned(params, Inputs(), Work(Path(scratch) / "work"), Silent())
    files = list(dict.fromkeys(piece.file for piece in plan.pieces))
    told = {
        "files": len(files),
        "bytes": sum(piece.size for piece in plan.pieces),
        "shards": len(plan.groups),
        "profile": plan.profile.name if plan.profile else None,
        "rules": len(plan.profile.rules) if plan.profile else 0,
        "languages": plan.languages,
        "near_duplicates": params.duplicates.near,
        "evaluation_sets": len(params.decontaminate),
        "engine": params.engine,
    }
    if as_json:
        print_json(told)
        return
    typer.echo(
        f"{told['files']:,} files, {size(sum(piece.size for piece in plan.pieces))}, in {told['shards']:,} shards"
    )
    typer.echo(f"profile: {told['profile'] or 'none'} ({told['rules']} rules)")
    typer.echo(f"languages: {', '.join(plan.languages or ['all'])}")
    typer.echo("nothing was written")


def _build(params: Params, out: Path, tokenizer: Path | None, *, quiet: bool, as_json: bool) -> None:
    from watari.artifact import atomic
    from watari.artifact.alone import identity_of, outside_of, write_manifest_alone
    from watari.artifact.manifest import LOGS, WORK, list_files, now
    from watari.cli.options import print_json
    from watari.cli.training import StoppableProgress, resumable
    from watari.corpus import build

    inputs = _inputs(tokenizer)
    tokenizers = [artifact.manifest.digest for artifact in inputs.many("tokenizer")]
    outside = outside_of(params)
    identity = identity_of(build.STAGE, params, outside, tokenizer=tokenizers)
    progress = StoppableProgress(quiet=quiet)
    if _ended(out, identity):
        # Killed while its work folder was being removed: what is left of that is no state to go on from.
        _tell_ended(out, as_json=as_json)
        return
    resumed = resumable(out, identity)
    with held(out):
        atomic.write_json(out / WORK / RUN, identity)
        (out / LOGS).mkdir(exist_ok=True)
        started, began = now(), time.monotonic()
        try:
            with progress.listening():
                result = build.run(params, inputs, out, progress)
        except UserError:
            if not resumed:
                _empty(out)
            raise
        progress.clear()
        seconds = time.monotonic() - began
        digest = write_manifest_alone(
            out,
            build.STAGE,
            params,
            identity,
            list_files(out),
            result,
            outside=outside,
            started=started,
            seconds=seconds,
        )
        shutil.rmtree(out / WORK)
    if as_json:
        print_json(_told(out, result.metrics, result.performance, digest, resumed=resumed))
        return
    _show(out, result.metrics, time.monotonic() - began)


def _told(
    out: Path, metrics: dict[str, Any], performance: dict[str, Any], digest: str, *, resumed: bool
) -> dict[str, Any]:
    return {
        "metrics": metrics,
        "performance": performance,
        "digest": digest,
        "resumed": resumed,
        "out": str(out),
    }


def _ended(out: Path, identity: dict[str, Any]) -> bool:
    """Return whether `out` holds just this build, whole, and what is left of its work folder."""
    from watari.artifact.hashing import hash_json
    from watari.artifact.manifest import MANIFEST, WORK, read_manifest

    # The manifest is written last of all: with it, everything is there.
    if not (out / WORK).is_dir() or not (out / MANIFEST).is_file():
        return False
    return read_manifest(out).key == hash_json(identity)


def _tell_ended(out: Path, *, as_json: bool) -> None:
    """Remove the rest of the work folder of a build that ended, and tell what came of it."""
    from watari.artifact.manifest import WORK, read_manifest
    from watari.artifact.store import locked
    from watari.cli.options import print_json

    with locked(out / WORK / ".lock", wait=1.0) as free:
        # Else it is being removed by its own build right now.
        if free:
            shutil.rmtree(out / WORK)
    manifest = read_manifest(out)
    if as_json:
        print_json(_told(out, manifest.metrics, manifest.performance, manifest.digest, resumed=True))
    else:
        _show(out, manifest.metrics, manifest.seconds)


def _show(out: Path, metrics: dict[str, Any], seconds: float) -> None:
    from watari.flow.display import duration, size

    typer.echo(
        f"{metrics['rows_in']:,} rows ({size(metrics['bytes_in'])}) in {duration(seconds)}:"
        f" {metrics['kept']:,} kept, {metrics['dropped']:,} dropped"
    )
    by_reason = sorted(metrics["dropped_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    width = max((len(reason) for reason, _ in by_reason), default=0)
    for reason, count in by_reason:
        typer.echo(f"  {reason:<{width}}  {count:>11,}  {count / metrics['rows_in']:6.1%}")
    for kind, count in metrics["masked"].items():
        typer.echo(f"masked: {count:,} {kind}")
    typer.echo(f"report: {out / 'report.html'}")


def _inputs(tokenizer: Path | None) -> Inputs:
    """Return what the stage is given besides files."""
    from watari.artifact.kinds import Kind
    from watari.artifact.stage import Inputs
    from watari.cli.training_inputs import as_input

    if tokenizer is None:
        return Inputs()
    if not tokenizer.is_dir():
        raise UserError(f"--tokenizer: {tokenizer} is no folder", "give a folder with a tokenizer.json")
    return Inputs({"tokenizer": [as_input(tokenizer.name, tokenizer, Kind.TOKENIZER)]})


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
