"""LoRA in the stages: what each writes, that it resumes to the same bytes, and that its snapshots can be averaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from made_artifacts import as_input
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted
from watari.model import average
from watari.pretrained import load_model
from watari.train import dpo, lora, pretrain, sft

FIRST = 380
COMMON: dict[str, Any] = {
    "model": "base",
    "data": "d",
    "threads": 1,
    "lr": 0.01,
    "sequence": 64,
    "lora": {"rank": 4, "alpha": 8},
    "new_rows_from": FIRST,
    "checkpoint_steps": 2,
    "snapshot_steps": 3,
}


@pytest.fixture(scope="session")
def tied(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    """The tiny model with a tied head."""
    folder = make_folder(tmp_path_factory.mktemp("tied"), tied=True, initializer_range=0.05)
    return as_input("base", folder, Kind.MODEL)


class StopAt(Silent):
    """Asks to stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.done = steps, 0.0

    def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.done = done if unit == "steps" else 0

    def stop_requested(self) -> bool:
        return self.done >= self.steps


Run = Callable[..., None]


@pytest.fixture(params=["pretrain", "sft", "dpo"])
def stage(
    request: pytest.FixtureRequest,
    rows_of: Callable[..., InputArtifact],
    shard_of: Callable[..., InputArtifact],
    talks: list[dict[str, Any]],
    choices: list[dict[str, Any]],
    stories: list[list[int]],
) -> Run:
    """Return a function that runs one of the stages on a model: (model, out, progress)."""
    if request.param == "pretrain":
        data = shard_of("d", [[*ids[:-1], FIRST + ids[1] % 40, 2] for ids in stories])
        module: Any = pretrain
        params: Any = pretrain.Params(**{**COMMON, "sequence": 32}, tokens=900, batch=4)
    elif request.param == "sft":
        data, module = rows_of("d", Kind.CONVERSATIONS, talks), sft
        params = sft.Params(
            **{**COMMON, "sequence": 256},
            epochs=3,
            batch=2,
            template="shisa",
            neftune_alpha=5,
            packing=True,
            activation_checkpointing=True,
        )
    else:
        data, module = rows_of("d", Kind.PREFERENCES, choices), dpo
        params = dpo.Params(**{**COMMON, "sequence": 256}, epochs=2, batch=6, template="swallow")

    def run(model: InputArtifact, out: Path, progress: Any = None) -> None:
        out.mkdir(parents=True, exist_ok=True)
        module.run(params, Inputs({"model": [model], "data": [data]}), out, progress or Silent())

    return run


IDS = torch.tensor([[1, 5, 401, 9, 419, 400, 7]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.parametrize("kind", ["untied", "tied"])
def test_a_stage_writes_the_merged_model_its_adapter_and_snapshots_and_resumes(
    stage: Run, tiny: InputArtifact, tied: InputArtifact, tmp_path: Path, kind: str
) -> None:
    base = tied if kind == "tied" else tiny
    out = tmp_path / "whole"
    stage(base, out)
    old, new = load_model(base.path), load_model(out)
    assert not (out / "adapter_config.json").exists()
    assert (new.get_output_embeddings().weight is new.get_input_embeddings().weight) == (kind == "tied")
    moved = {name: not torch.equal(value, old.state_dict()[name]) for name, value in new.state_dict().items()}
    assert {name for name, was in moved.items() if was} == {
        name for name in moved if "_proj." in name or "embed" in name or "lm_head" in name
    }
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(new.state_dict()[name][:FIRST], old.state_dict()[name][:FIRST])
    adapted = peft.PeftModel.from_pretrained(load_model(base.path), str(out / lora.ADAPTER))
    torch.testing.assert_close(logits(adapted), logits(new), rtol=1e-5, atol=1e-5)

    stopped = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        stage(base, stopped, StopAt(4))
    (newest,) = sorted((stopped / "work").glob("checkpoint-*"))[-1:]
    with safe_open(newest / "weights.safetensors", "pt") as held:
        names = set(held.keys())
    tables = {"model.embed_tokens.new.weight"} | ({"lm_head.new.weight"} if kind == "untied" else set())
    assert {name for name in names if "lora_" not in name} == tables
    assert len(names) == 2 * 14 + len(tables)
    stage(base, stopped)
    assert digest_of(list_files(stopped)) == digest_of(list_files(out))

    average.run(
        average.Params(models="trained", snapshots=2),
        Inputs({"models": [as_input("trained", out, Kind.MODEL)]}),
        tmp_path / "average",
        Silent(),
    )
    snapshots = sorted((out / "snapshots").iterdir(), key=lambda path: int(path.name.split("-")[1]))[-2:]
    one, two = (load_file(path / "model.safetensors") for path in snapshots)
    made = load_file(tmp_path / "average" / "model.safetensors")
    assert not torch.equal(one["model.embed_tokens.weight"], two["model.embed_tokens.weight"])
    assert all(torch.equal(made[n], ((one[n].double() + two[n].double()) / 2).float()) for n in made)
    logits(load_model(tmp_path / "average"))
