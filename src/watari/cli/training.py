"""The bodies of `watari train ...`: a stage's `run` on files instead of artifacts, and what its preflight says."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from watari.cli.progress import LineProgress
from watari.cli.training_params import EDGES, identity_of, stage_inputs, stage_params
from watari.errors import DryRun, UserError

RUN = "run.json"
SUMMARY = "training.json"


class StoppableProgress(LineProgress):
    """Progress of a command that has something to save: the first Ctrl-C asks it to stop, the second ends it."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._asked = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM as requests to stop."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._asked += 1
            if self._asked > 1:
                raise KeyboardInterrupt
            self.log("stopping at the next safe point; Ctrl-C again to stop at once")

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop_requested(self) -> bool:
        """True once the user has asked."""
        return self._asked > 0


def train_command(
    kind: str,
    model: Path,
    data: Mapping[str, Sequence[str] | None],
    out: Path | None,
    settings: Sequence[str] | None,
    *,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a training stage on files, write the model to `out` and print what came of it.

    Raises:
        UserError: for a parameter, file or folder that cannot be used.
        StageFailed, Interrupted: as the stage does.
    """
    given = {name: list(places) for name, places in data.items() if places}
    params = stage_params(kind, given, settings or [], dry_run=dry_run)
    progress = StoppableProgress(quiet=quiet)
    if params.dry_run:
        with _scratch(out) as folder:
            _dry_run(
                kind,
                params,
                lambda: stage_inputs(params, model, given, folder, progress),
                folder,
                progress,
                as_json,
            )
        return
    if out is None:
        raise UserError("--out: where shall the model be written?", "give --out FOLDER, or --dry-run")
    identity = identity_of(kind, params, model, given)
    resumed = resumable(out, identity)
    _run(kind, params, model, given, out, progress, identity, resumed=resumed, as_json=as_json)


def _run(
    kind: str,
    params: Any,
    model: Path,
    given: Mapping[str, list[str]],
    out: Path,
    progress: StoppableProgress,
    identity: dict[str, Any],
    *,
    resumed: bool,
    as_json: bool,
) -> None:
    from watari.artifact import atomic
    from watari.artifact.manifest import LOGS, WORK
    from watari.artifact.params import runtime_parameters
    from watari.artifact.store import locked
    from watari.cli.options import print_json
    from watari.flow.display import duration
    from watari.flow.stages import TABLE

    with locked(out / WORK / ".lock", wait=1.0) as free:
        if not free:
            raise UserError(
                f"--out: {out} is being written by another process", "wait for it, or give another"
            )
        atomic.write_json(out / WORK / RUN, identity)
        (out / LOGS).mkdir(exist_ok=True)
        began = time.monotonic()
        try:
            with progress.listening():
                inputs = stage_inputs(params, model, given, out, progress)
                result = TABLE[kind].run(params, inputs, out, progress)
        except UserError:
            if not resumed:
                # Nothing of it is worth going on from; the folder shall not keep the next attempt away.
                _empty(out)
            raise
        progress.clear()
        summary = {
            "stage": kind,
            "parameters": params.model_dump(mode="json", exclude=set(EDGES)),
            "runtime": runtime_parameters(params),
            "metrics": result.metrics,
            "performance": result.performance,
        }
        atomic.write_json(out / LOGS / SUMMARY, summary)
        shutil.rmtree(out / WORK)
    if as_json:
        said = {name: summary[name] for name in ("stage", "metrics", "performance")}
        print_json({**said, "resumed": resumed, "out": str(out)})
        return
    metrics = result.metrics
    typer.echo(
        f"{metrics['steps']:,} steps, {metrics['tokens']:,} tokens in {duration(time.monotonic() - began)}"
    )
    typer.echo(f"loss {metrics['first_loss']:.4g} -> {metrics['last_loss']:.4g}")
    typer.echo(f"written: {out}")


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _dry_run(
    kind: str, params: Any, inputs: Any, folder: Path, progress: StoppableProgress, as_json: bool
) -> None:
    """Run a stage up to its preflight in a folder that is thrown away, and print the report."""
    from watari.artifact.manifest import LOGS
    from watari.cli.options import print_json
    from watari.cli.preflight import show_preflight
    from watari.flow.stages import TABLE

    (folder / LOGS).mkdir(exist_ok=True)
    try:
        with progress.listening():
            TABLE[kind].run(params, inputs(), folder, progress)
    except DryRun:
        progress.clear()
    report = json.loads((folder / "preflight.json").read_text("utf-8"))
    machine = json.loads((folder / LOGS / "preflight.json").read_text("utf-8"))
    if as_json:
        print_json({"stage": kind, "report": report, "machine": machine})
    else:
        show_preflight(kind, report, machine)


@contextmanager
def _scratch(out: Path | None) -> Iterator[Path]:
    """Yield a folder for a dry run, on the disk where the model would be written, and remove it."""
    beside = out.absolute().parent if out is not None else None
    with tempfile.TemporaryDirectory(
        prefix=".watari-dry-run-", dir=beside if beside is not None and beside.is_dir() else None
    ) as folder:
        yield Path(folder)


def resumable(out: Path, now: dict[str, Any]) -> bool:
    """Return whether `out` holds an interrupted run of just this; make sure that it holds nothing else.

    Raises:
        UserError: if it does, or the run there has other parameters or inputs.
    """
    from watari.artifact.manifest import WORK
    from watari.cli.options import check_new_folder

    path = out / WORK / RUN
    if not path.is_file():
        only_lock = out.is_dir() and [p.name for p in out.iterdir()] == [WORK]
        if not only_lock:
            check_new_folder(out)
        return False
    try:
        before = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise UserError(f"{path}: cannot be read", "remove the folder to start anew") from None
    if before != now:
        what = [name for name in now if before.get(name) != now[name]]
        if what == ["parameters"]:
            old = before["parameters"]
            what = [name for name, value in now["parameters"].items() if old.get(name) != value]
        raise UserError(
            f"--out: {out} holds an unfinished run with another {', '.join(what)}",
            "give what it was started with to go on, or another --out",
        )
    return True


def preflight_command(
    recipe_name: str,
    stage: str,
    out: Path | None,
    store: Path | None,
    settings: list[str] | None,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print the preflight of a recipe's training stage whose inputs are in the store.

    Raises:
        UserError: if there is no such stage, it trains nothing, or its inputs are not there.
    """
    from watari.artifact.stage import InputArtifact, Inputs
    from watari.artifact.store import Store
    from watari.cli.options import load_recipe
    from watari.flow.folder import default_store
    from watari.flow.keys import read_made
    from watari.flow.plan import State, plan

    recipe = load_recipe(recipe_name, settings, data)
    names = recipe.names(stage)
    if len(names) > 1:
        raise UserError(f"'{stage}' has {len(names)} variants", f"name one: {', '.join(names)}")
    node = recipe.nodes[names[0]]
    if not node.stage.kind.startswith("train."):
        raise UserError(f"'{node.name}' is {node.stage.kind}, no training stage")
    where = Store(default_store(out if out is not None else Path("runs") / recipe.name, store))
    made = {planned.name: planned for planned in plan(recipe, where).stages}
    missing = dict.fromkeys(
        source.node for source in node.sources if made[source.node].state is not State.CACHED
    )
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        until = " ".join(f"--until {name}" for name in missing)
        raise UserError(
            f"'{node.name}' needs {', '.join(repr(name) for name in missing)}, which {verb} not made yet",
            f"watari run {recipe_name} {until}",
        )
    found: dict[str, list[InputArtifact]] = {}
    for source in node.sources:
        key = made[source.node].key
        assert key is not None  # it is there
        manifest = read_made(where, recipe.nodes[source.node], key)
        artifact = InputArtifact(source.node, where.path(manifest.kind, key), manifest, source.selection)
        found.setdefault(source.parameter, []).append(artifact)
    params = node.params.model_copy(update={"dry_run": True})
    progress = StoppableProgress(quiet=as_json)
    with _scratch(where.root) as folder:
        _dry_run(node.stage.kind, params, lambda: Inputs(found), folder, progress, as_json)


def show_mask_command(
    model: Path,
    rows: Path,
    *,
    limit: int,
    ids: Sequence[str],
    template: str,
    template_file: Path | None,
    loss_on: str,
    too_long: str,
    sequence: int,
    as_json: bool,
) -> None:
    """Print which tokens of rows are trained.

    Raises:
        UserError: for an option or file that cannot be used.
    """
    from typing import get_args

    from watari.generate.templates import PRESETS
    from watari.pretrained import find_model
    from watari.train.examples import LossOn, TooLong
    from watari.train.show import masked_rows, show_masks

    for option, value, known in (
        ("template", template, ("model", *PRESETS)),
        ("loss-on", loss_on, get_args(LossOn)),
        ("too-long", too_long, get_args(TooLong)),
    ):
        if value not in known:
            raise UserError(f"--{option}: {value!r} is none of {', '.join(known)}")
    found = masked_rows(
        find_model(model),
        rows,
        template=template,
        template_file=template_file,
        loss_on=loss_on,  # type: ignore[arg-type]
        too_long=too_long,  # type: ignore[arg-type]
        sequence=sequence,
        limit=limit,
        ids=ids,
    )
    show_masks(found, json_output=as_json)
