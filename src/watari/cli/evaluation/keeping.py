"""What `watari eval run` and `watari sweep` do around a stage: who is named, a folder that goes on, a manifest at the end.

The folder holds what was made, `ledger.sqlite` with every answer, and `run.json` with what was asked for: the same command
goes on with it, another one is refused with what differs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.cli.options import held
from watari.cli.translating import RowsProgress
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.artifact.stage import InputArtifact, Stage, StageResult
    from watari.endpoint.params import AskingParams

LEDGER = "ledger.sqlite"
RUN = "run.json"
_SCHEMES = ("http://", "https://", "replay://")


class EvaluationProgress(RowsProgress):
    """One line: rows of the phase, what it is and what was spent, rows a second, how long it will take."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._before = 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        """Show how far the work is; a count that begins anew is another phase."""
        if done < self._before:
            self._began = time.monotonic()
        self._before = done
        super().update(done, total, unit=unit, note=note)


def party(option: str, text: str) -> dict[str, Any] | Path:
    """Return who is named: settings of an endpoint for `name=URL`, a folder otherwise.

    Raises:
        UserError: for an address without a name, or a folder that is not there.
    """
    name, equals, url = text.partition("=")
    if equals and url.startswith(_SCHEMES):
        if not name.strip():
            raise UserError(f"--{option} {text}: no model is named", f"write --{option} name={url}")
        return {"base_url": url, "model": name.strip()}
    if text.startswith(_SCHEMES):
        raise UserError(f"--{option} {text}: no model is named", f"write --{option} name={text}")
    if not Path(text).is_dir():
        raise UserError(
            f"--{option} {text}: no such folder",
            "a model's folder, or name=URL of an OpenAI-compatible server, up to /v1",
        )
    return Path(text)


def model_artifact(folder: Path) -> InputArtifact:
    """Return a model's folder as a stage gets it, named as the folder is.

    Raises:
        UserError: if it is none.
    """
    from watari.cli.training_inputs import model_input

    # Not resolved: a stage's folder is a link into the store, where it is called by its key.
    named = folder.name if folder.name not in ("", "..") else folder.resolve().name
    return model_input(named or "model", folder)


def check_prices(params: AskingParams) -> None:
    """Make sure that what costs money has a limit, and that a limit in money has prices to count with.

    Raises:
        UserError: naming the endpoint.
    """
    from watari.cli.translating_inputs import is_local

    for endpoint in params.endpoints():
        if not endpoint.price.free and params.budget.money is None:
            raise UserError(
                f"{endpoint.label} costs money, and no budget is given",
                "give --set budget.money=5: what may be spent at most",
            )
        unknown = "price" not in endpoint.model_fields_set and not is_local(endpoint.base_url)
        if unknown and params.budget.money is not None:
            raise UserError(
                f"budget: what {endpoint.label} costs is not known",
                "give its price per million tokens, e.g. --set judge.price.input=2 --set judge.price.output=8; 0 if it is free",
            )


@dataclass(frozen=True)
class Maker:
    """The command that a folder is kept for.

    Args:
        command: As it is typed.
        makes: What it leaves, in a word.
    """

    command: str
    makes: str


EVALUATION = Maker("watari eval run", "evaluation")
SWEEP = Maker("watari sweep", "sweep")


@dataclass(frozen=True)
class Kept:
    """What a run left.

    Args:
        result: Of the stage.
        digest: Over the files of the evaluation.
        seconds: That it took.
    """

    result: StageResult
    digest: str
    seconds: float


def run_kept(
    stage: Stage,
    params: AskingParams,
    model: InputArtifact | None,
    out: Path,
    maker: Maker,
    *,
    quiet: bool = False,
) -> Kept:
    """Run a stage into `out`, or go on with it.

    Args:
        stage: Its `run` gets the input `model`, where there is one.
        params: With `ledger` at `out / LEDGER`.
        model: The model that runs in this process.
        out: New, empty, or a folder of the same command.
        maker: That command.
        quiet: No progress.

    Raises:
        UserError: if `out` holds something else, or what the command made otherwise: names what differs.
        StageFailed, Interrupted: as the stage does.
    """
    from watari.artifact import atomic
    from watari.artifact.alone import identity_of, outside_of, put_in_place, write_manifest_alone
    from watari.artifact.manifest import WORK, now
    from watari.artifact.stage import Inputs

    outside = outside_of(params)
    digest_of_model = model.manifest.digest if model is not None else ""
    identity = identity_of(stage, params, outside, model=digest_of_model)
    claim(out, identity, maker)
    progress = EvaluationProgress(quiet=quiet)
    with held(out):
        making = out / WORK / "made"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        started, began = now(), time.monotonic()
        with progress.listening():
            result = stage.run(params, Inputs({"model": [model]} if model else {}), making, progress)
        progress.clear()
        atomic.sync_tree(making)
        seconds = time.monotonic() - began
        files = put_in_place(making, out)
        digest = write_manifest_alone(
            out, stage, params, identity, files, result, outside=outside, started=started, seconds=seconds
        )
    shutil.rmtree(out / WORK, ignore_errors=True)
    return Kept(result, digest, seconds)


def claim(out: Path, identity: Mapping[str, Any], maker: Maker) -> None:
    """Make sure that `out` is new, empty, or holds what the same command has begun; note what it holds.

    Raises:
        UserError: naming what differs; or why it cannot be written.
    """
    from watari.artifact import atomic
    from watari.cli.options import check_new_folder

    now = {"made_by": maker.command, **identity}
    file = out / RUN
    if not file.is_file():
        check_new_folder(out)
        atomic.make_folder(out)
        atomic.write_json(file, now)
        return
    try:
        before = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--out: {file} cannot be read: {error}", "give another folder") from None
    if not isinstance(before, dict) or before.get("made_by") != maker.command:
        other = before.get("made_by") if isinstance(before, dict) else None
        what = f"what `{other}` began" if other in (EVALUATION.command, SWEEP.command) else "something else"
        raise UserError(f"--out: {out} holds {what}", "give another folder")
    differs = _differences(before, now)
    if differs:
        raise UserError(
            f"--out: {out} holds another {maker.makes}: {'; '.join(differs[:4])}",
            "give another folder, or the command that began it",
        )


def _differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Return in words where two records differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        found: list[str] = []
        for name in dict.fromkeys([*before, *now]):
            inner = f"{path}.{name}" if path else str(name)
            found += _differences(before.get(name), now.get(name), inner)
        return found
    if before == now:
        return []
    name = path.removeprefix("parameters.").removesuffix(".outside")
    if path.endswith(".outside") or path == "model":
        return [f"{name} has other content"]
    if isinstance(before, list) and isinstance(now, list) and not _plain([*before, *now]):
        if len(before) != len(now):
            return [f"{name} are {len(before)} there, {len(now)} here"]
        of = [f" ({number} of {len(now)})" if len(now) > 1 else "" for number in range(1, len(now) + 1)]
        return [
            told
            for was, then, which in zip(before, now, of, strict=True)
            for told in _differences(was, then, path + which)
        ]
    return [f"{name} is {_shown(before)} there, {_shown(now)} here"]


def _plain(values: Sequence[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "outside" in value:
        return "given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
