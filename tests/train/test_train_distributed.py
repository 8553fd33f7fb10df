"""Two ranks do what one process does: the sums, the steps, the checkpoints and whole stages (gloo, on the CPU)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import two_ranks
from made_artifacts import as_input
from two_ranks import StopAt, trained
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokensInfo, TokenWriter
from watari.errors import Interrupted
from watari.train import checkpoint, dpo, pretrain, repair, sft
from watari.train.distributed import World
from watari.train.distributed.launch import RENDEZVOUS
from watari.train.distributed.spec import Launch

MODULES: dict[str, Any] = {
    "train.pretrain": pretrain,
    "train.sft": sft,
    "train.dpo": dpo,
    "train.repair": repair,
}
COMMON = {"model": "base", "data": "d", "threads": 1, "precision": "fp32", "lr": 3e-3, "processes": 2}
PRETRAIN = {**COMMON, "tokens": 6400, "sequence": 32, "batch": 4, "pass_tokens": 64, "checkpoint_steps": 10}
SFT = {
    **COMMON,
    "epochs": 4,
    "batch": 5,
    "sequence": 256,
    "template": "shisa",
    "neftune_alpha": 5,
    "packing": True,
}
DPO = {**COMMON, "epochs": 2, "batch": 5, "sequence": 256, "template": "swallow", "pass_tokens": 300}

REPAIR = {**COMMON, "epochs": 2, "batch": 5, "sequence": 256, "pass_tokens": 300}


@dataclass(frozen=True)
class Case:
    """A stage to run on two ranks.

    Args:
        kind: Its kind.
        params: Its parameters.
        model: Which of the models to start from.
        stop: The step to stop after, if it is to be interrupted.
        begun: The step after which one process has left it.
        slow: True to leave it to the slow tests.
    """

    kind: str
    params: dict[str, Any]
    model: str = "plain"
    stop: int | None = None
    begun: int | None = None
    slow: bool = False


FSDP = {"sharding": "fsdp"}
CASES = {
    "pretrain": Case("train.pretrain", PRETRAIN),
    "pretrain-fsdp-tied": Case("train.pretrain", {**PRETRAIN, **FSDP}, model="tied"),
    "pretrain-fsdp-stopped": Case("train.pretrain", {**PRETRAIN, **FSDP}, stop=25),
    "sft-fsdp": Case("train.sft", {**SFT, **FSDP}),
    "dpo": Case("train.dpo", DPO),
    "pretrain-fsdp": Case("train.pretrain", {**PRETRAIN, **FSDP}, slow=True),
    "pretrain-fsdp-checkpointed": Case(
        "train.pretrain", {**PRETRAIN, **FSDP, "activation_checkpointing": True}, slow=True
    ),
    "pretrain-stopped": Case("train.pretrain", PRETRAIN, stop=25, slow=True),
    "pretrain-begun": Case("train.pretrain", PRETRAIN, begun=25, slow=True),
    "pretrain-fsdp-begun": Case("train.pretrain", {**PRETRAIN, **FSDP}, begun=25, slow=True),
    "pretrain-rows-fsdp": Case(
        "train.pretrain",
        {**PRETRAIN, **FSDP, "new_rows_from": 300, "lr_new_rows": 6e-3, "new_rows_first": 5},
        slow=True,
    ),
    "sft": Case("train.sft", SFT, slow=True),
    "sft-lora-fsdp": Case("train.sft", {**SFT, **FSDP, "lora": {"rank": 4}, "new_rows_from": 300}, slow=True),
    "repair": Case("train.repair", REPAIR, slow=True),
    "repair-fsdp": Case("train.repair", {**REPAIR, **FSDP}, slow=True),
    "dpo-fsdp": Case("train.dpo", {**DPO, **FSDP}, slow=True),
    "dpo-lora": Case("train.dpo", {**DPO, "lora": {"rank": 4}, "new_rows_from": 300}, slow=True),
}
EACH = [pytest.param(name, marks=pytest.mark.slow if case.slow else ()) for name, case in CASES.items()]


@dataclass(frozen=True)
class Ran:
    """What the ranks have left behind."""

    folder: Path
    world: list[dict[str, Any]]
    inputs: dict[str, Inputs]

    def alone(self, name: str) -> Path:
        """Return the folder of the same stage, run by one process."""
        case = CASES[name]
        out = self.folder.parent / "one" / f"{case.kind}-{case.model}-{sorted(_own(case))}".replace("/", "_")
        if not out.is_dir():
            out.mkdir(parents=True)
            _run(case, self.inputs[name], out)
        return out


def _own(case: Case) -> dict[str, Any]:
    return {k: v for k, v in case.params.items() if k in ("lora", "new_rows_from", "new_rows_first")}


def _run(case: Case, inputs: Inputs, out: Path, progress: Any = None) -> dict[str, Any]:
    module = MODULES[case.kind]
    params = module.Params(**{**case.params, "processes": 1, "sharding": "none"})
    metrics: dict[str, Any] = module.run(params, inputs, out, progress or Silent()).metrics
    return metrics


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory,
    talks: list[dict[str, Any]],
    choices: list[dict[str, Any]],
    leaks: list[dict[str, Any]],
    stories: list[list[int]],
) -> dict[str, InputArtifact]:
    """Rows for each kind of stage."""
    root = tmp_path_factory.mktemp("rows")
    with TokenWriter(root / "stories", TokensInfo(420, "t", 1, 2)) as writer:
        for index, ids in enumerate(stories):
            writer.add(f"s{index}", ids, language="ja", source="d", characters=len(ids))
    write_rows(root / "talks" / "rows.parquet", Kind.CONVERSATIONS, talks)
    write_rows(root / "choices" / "rows.parquet", Kind.PREFERENCES, choices)
    write_rows(root / "leaks" / "rows.parquet", Kind.PREFERENCES, leaks)
    return {
        "train.pretrain": _input(root / "stories", Kind.TOKENS),
        "train.sft": _input(root / "talks", Kind.CONVERSATIONS),
        "train.dpo": _input(root / "choices", Kind.PREFERENCES),
        "train.repair": _input(root / "leaks", Kind.PREFERENCES),
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, data: dict[str, InputArtifact]) -> Ran:
    """The quick cases and the checks of `World`."""
    folder = tmp_path_factory.mktemp("ranks") / "two"
    made = two_ranks.models(folder)
    for tied in (False, True):
        trained(folder / ("alone-tied" if tied else "alone"), World.single(), tied=tied)
    inputs = _launch(folder, made, data, slow=False)
    world = [json.loads((folder / f"world-{rank}.json").read_text()) for rank in range(2)]
    return Ran(folder, world, inputs)


@pytest.fixture(scope="module")
def ran_slow(tmp_path_factory: pytest.TempPathFactory, data: dict[str, InputArtifact]) -> Ran:
    """The slow cases."""
    folder = tmp_path_factory.mktemp("slow-ranks") / "two"
    return Ran(folder, [], _launch(folder, two_ranks.models(folder), data, slow=True))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[str, Ran]:
    """A case by its name, and the launch that it was part of."""
    ran: Ran = request.getfixturevalue("ran_slow" if CASES[request.param].slow else "ran")
    return request.param, ran


def _launch(
    folder: Path, made: dict[str, Path], data: dict[str, InputArtifact], *, slow: bool
) -> dict[str, Inputs]:
    models = {name: as_input("base", path, Kind.MODEL) for name, path in made.items()}
    inputs = {}
    for name, case in CASES.items():
        if case.slow != slow:
            continue
        inputs[name] = Inputs({"model": [models[case.model]], "data": [data[case.kind]]})
        out = folder / name
        out.mkdir(parents=True)
        if case.begun is not None:
            with pytest.raises(Interrupted):
                _run(case, inputs[name], out, StopAt(case.begun))
        params = MODULES[case.kind].Params(**case.params)
        Launch.of(case.kind, params, inputs[name], out).write()
        if case.stop is not None:
            (out / "work" / "stop").write_text(str(case.stop))
    _two(folder)
    return inputs


def _input(folder: Path, kind: Kind) -> InputArtifact:
    made = as_input("d", folder, kind)
    return InputArtifact("d", made.path, made.manifest, Selection(**{"from": "d"}))


def _two(folder: Path) -> None:
    """Run the program of the ranks on two."""
    source = Path(checkpoint.__file__).parents[2]
    common = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (source, Path(two_ranks.__file__).parent))),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        RENDEZVOUS: (folder / "rendezvous").as_uri(),
    }
    told = [folder / f"told-{rank}.txt" for rank in range(2)]
    ranks = []
    for number, path in enumerate(told):
        with path.open("wb") as handle:
            ranks.append(
                subprocess.Popen(
                    [sys.executable, two_ranks.__file__, str(folder)],
                    env={**common, "RANK": str(number), "LOCAL_RANK": str(number)},
                    stderr=handle,
                )
            )
    try:
        codes = [rank.wait(timeout=900) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert codes == [0, 0], "\n".join(path.read_text()[-3000:] for path in told)


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def follows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    assert len(ours) == len(theirs) >= 4
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert mine["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)
        assert (mine["step"], mine["tokens"], mine["lr"]) == (other["step"], other["tokens"], other["lr"])
        assert mine.keys() == other.keys()


def test_the_ranks_agree(ran: Ran) -> None:
    first, second = (seen["sums"] for seen in ran.world)
    assert first["sum"] == second["sum"] == [2.0, pytest.approx(0.3, rel=1e-15), 2e300]
    assert first["told"] == second["told"] == {"größe": [0, None]}
    assert (first["share"], second["share"]) == ([0, 2, 4], [1, 3, None])
    assert first["nothing"] == second["nothing"] == []
    # Of the second only rank 0 had one, of the third nobody.
    assert first["gradients"] == second["gradients"] == [[3.0] * 3, [5.0] * 3, None]


@pytest.mark.parametrize("how", ["copies", "divided", "divided-tied"])
def test_steps_are_those_of_one_process(ran: Ran, how: str) -> None:
    tied = how == "divided-tied"
    oracle = trained(ran.folder / f"oracle-{how}", World.single(), tied=tied)
    for rank, seen in enumerate(world[how] for world in ran.world):
        # To 1e-6, as fp32 sums in another order are; the updates of AdamW's first steps amplify it.
        assert seen["first"][:2] == pytest.approx(oracle["first"][:2], rel=1e-6)
        assert seen["first"] + seen["second"] == pytest.approx(oracle["first"] + oracle["second"], rel=1e-5)
        assert seen["scored"] == pytest.approx(oracle["scored"], rel=1e-5)
        assert seen["tied"] is tied
        if rank == 0:
            assert seen["state"] == pytest.approx(oracle["state"], rel=1e-4, abs=1e-3)
            assert seen["shapes"] == oracle["shapes"]
        else:
            assert seen["state"] == {}


def test_what_is_to_be_divided_is(ran: Ran) -> None:
    whole = ran.world[0]["copies"]
    assert not any(whole["divided"])
    for seen in (world["divided"] for world in ran.world):
        assert all(seen["divided"])
        assert all(seen["still divided"])
        assert len(seen["divided"]) == len(whole["divided"])
    assert sum(world["divided"]["held"] for world in ran.world) == whole["held"]
    assert all(world["divided"]["held"] < 0.6 * whole["held"] for world in ran.world)


@pytest.mark.parametrize("how", ["copies", "divided", "divided-tied"])
def test_any_number_of_ranks_goes_on_from_any_checkpoint(ran: Ran, how: str) -> None:
    tied = how == "divided-tied"
    # Saved by one, resumed by two: in the program of the ranks. Saved by two, resumed by one: here.
    oracle = trained(ran.folder / f"oracle2-{how}", World.single(), tied=tied)
    resumed = trained(ran.folder / f"back-{how}", World.single(), tied=tied, resume=ran.folder / how / "work")
    assert resumed["second"] == pytest.approx(oracle["second"], rel=1e-5)
    for world in ran.world:
        assert world[f"{how} resumed"]["second"] == pytest.approx(oracle["second"], rel=1e-5)
    files = {path.name for path in checkpoint.latest(ran.folder / how / "work").iterdir()}  # type: ignore[union-attr]
    parts = ["-00000-of-00002", "-00001-of-00002"] if how != "copies" else [""]
    wanted = {f"{what}{part}.safetensors" for what in ("weights", "optimizer") for part in parts}
    assert files == wanted | {"state.json"}


@pytest.mark.parametrize("case", EACH, indirect=True)
def test_a_stage_on_two_ranks_follows_one_process(case: tuple[str, Ran]) -> None:
    """Interrupted ones are finished by one process first: what two have saved, one resumes."""
    name, ran = case
    one, two = ran.alone(name), ran.folder / name
    if (stop := CASES[name].stop) is not None:
        assert not (two / "model.safetensors").exists()
        assert len(log(two)) == stop
        _run(CASES[name], ran.inputs[name], two)
    else:
        said = json.loads((two / "work" / "result.json").read_text())
        assert said["performance"]["processes"] == 2
        assert said["performance"]["sharding"] == CASES[name].params.get("sharding", "none")
        assert said["metrics"]["trained_parameters"] > 0
    follows(log(two), log(one))
    if CASES[name].kind == "train.pretrain":
        assert len(log(two)) == 50
    ours, theirs = (load_file(out / "model.safetensors") for out in (two, one))
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    for key, tensor in ours.items():
        assert (tensor - theirs[key]).abs().max() < 2e-3
    # What the other rank wrote is no content.
    assert {p.name for p in two.iterdir()} == {p.name for p in one.iterdir()} | {"work"}


@pytest.mark.parametrize("how", ["copies", "divided", "divided-tied"])
def test_pytorchs_own_reader_reads_our_checkpoints(ran: Ran, how: str) -> None:
    """The offsets of the parts stand where torch.distributed.checkpoint looks for them."""
    import torch
    import torch.distributed.checkpoint as dcp

    found = checkpoint.latest(ran.folder / how / "work")
    assert found is not None
    shapes = json.loads((found / "state.json").read_text())["shapes"]
    theirs = {f"{kind}{name}": torch.zeros(shapes[name]) for name in shapes for kind in ("", "exp_avg_sq/")}
    dcp.load(theirs, storage_reader=dcp.HuggingFaceStorageReader(str(found)), no_dist=True)
    for key, tensor in theirs.items():
        mine = torch.zeros_like(tensor)
        file = "optimizer*" if "/" in key else "weights*"
        checkpoint._Pieces(sorted(found.glob(f"{file}.safetensors"))).read_into(key, mine)
        assert torch.equal(mine, tensor)
        assert tensor.abs().max() > 0
