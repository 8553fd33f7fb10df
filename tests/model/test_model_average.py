"""`model.average`: the mean and the arc, tensor by tensor, exact and streamed; what does not fit is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from made_artifacts import as_input
from tiny_llama import make_folder, make_model, make_tokenizer
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.cli.main import app
from watari.errors import Interrupted, UserError
from watari.model import average, average_files
from watari.model.average_members import SNAPSHOTS
from watari.model.averaging import slerp_shares
from watari.pretrained import load_model, load_tokenizer

torch.set_num_threads(1)
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models: a and far are strangers, near and nearer are a plus a little noise; tied ones; bfloat16 ones."""
    root = tmp_path_factory.mktemp("average")
    made = {
        "a": make_folder(root / "a", seed=1),
        "far": make_folder(root / "far", seed=2, template=None),
        "tied": make_folder(root / "tied", seed=3, tied=True),
        "tied far": make_folder(root / "tied far", seed=4, tied=True),
    }
    for name, base, noise in (("near", "a", 0.02), ("nearer", "a", 0.005), ("tied near", "tied", 0.02)):
        draw = torch.Generator().manual_seed(len(made))
        shutil.copytree(made[base], root / name)
        noisy = {
            key: value + noise * torch.randn(value.shape, generator=draw)
            for key, value in weights(made[base]).items()
        }
        save_file(noisy, root / name / "model.safetensors", {"format": "pt"})
        made[name] = root / name
    for name in ("a", "far"):
        shutil.copytree(made[name], root / f"{name} half")
        half = {key: value.bfloat16() for key, value in weights(made[name]).items()}
        save_file(half, root / f"{name} half" / "model.safetensors", {"format": "pt"})
        made[f"{name} half"] = root / f"{name} half"
    return made


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: value
        for file in sorted(folder.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def run(
    folders: dict[str, Path], out: Path, *models: str, progress: Any = None, **params: Any
) -> StageResult:
    chosen = average.Params(models=list(models), **params)
    inputs = Inputs({"models": [as_input(name, folders[name], Kind.MODEL) for name in models]})
    out.mkdir(parents=True, exist_ok=True)
    return average.run(chosen, inputs, out, progress or Silent())


def test_the_linear_mean_is_the_weighted_sum_rounded_once(folders: dict[str, Path], tmp_path: Path) -> None:
    result = run(folders, tmp_path, "a", "near", "far", weights=[1, 2, 5])
    parts = [weights(folders[name]) for name in ("a", "near", "far")]
    made = weights(tmp_path)
    assert list(made) == list(parts[0])
    for name, value in made.items():
        exact = sum(w / 8 * part[name].double() for w, part in zip((1, 2, 5), parts, strict=True))
        assert torch.equal(value, exact.float()), name
    assert result.metrics["weights"] == [0.125, 0.25, 0.625]
    assert result.metrics["members"] == ["a", "near", "far"]
    plain = run(folders, tmp_path / "plain", "a", "far")
    assert plain.metrics["weights"] == [0.5, 0.5]
    assert torch.equal(weights(tmp_path / "plain")["lm_head.weight"], torch.lerp(parts[0]["lm_head.weight"].double(), parts[2]["lm_head.weight"].double(), 0.5).float())  # fmt: skip


def test_the_mean_of_a_model_with_itself_is_the_model(folders: dict[str, Path], tmp_path: Path) -> None:
    for method, models in (("linear", ["a"] * 3), ("slerp", ["a"] * 2)):
        result = run(folders, tmp_path / method, *models, method=method)
        assert all(torch.equal(v, weights(folders["a"])[k]) for k, v in weights(tmp_path / method).items())
        assert result.metrics["distance_max"] == 0.0


def on_the_arc(one: np.ndarray, two: np.ndarray, t: float) -> np.ndarray:
    """SLERP as mergekit has had it from its first versions, in fp64."""
    flat, other = one.ravel().astype(np.float64), two.ravel().astype(np.float64)
    dot = (flat / np.linalg.norm(flat)) @ (other / np.linalg.norm(other))
    if abs(dot) > 0.9995:
        return ((1 - t) * flat + t * other).reshape(one.shape)
    angle = np.arccos(dot)
    mixed = np.sin((1 - t) * angle) / np.sin(angle) * flat + np.sin(t * angle) / np.sin(angle) * other
    return mixed.reshape(one.shape)


@pytest.mark.parametrize(("other", "arcs"), [("far", 17), ("near", 17), ("nearer", 0)])
def test_slerp_is_mergekit_s(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str, arcs: int
) -> None:
    monkeypatch.setattr("watari.model.averaging.CHUNK", 1000)
    result = run(folders, tmp_path, "a", other, method="slerp", weights=[3, 1])
    one, two = weights(folders["a"]), weights(folders[other])
    told = 0
    for name, value in weights(tmp_path).items():
        want = on_the_arc(one[name].numpy(), two[name].numpy(), 0.25)
        np.testing.assert_allclose(value.numpy(), want, rtol=1e-6, atol=1e-7)
        linear = torch.lerp(one[name], two[name], 0.25)
        told += not torch.allclose(value, linear, rtol=1e-6, atol=1e-7)
    # Norm weights are all ones here: parallel in any two models that were just made.
    assert result.metrics["tensors"] == 21
    assert result.metrics["tensors_on_the_arc"] == told
    assert told <= arcs
    assert (told > 0) == (arcs > 0)


def test_the_arc_keeps_the_length_where_the_mean_loses_it() -> None:
    one, two = slerp_shares(0.0, 0.5)
    assert one == two == pytest.approx(0.5**0.5)
    assert slerp_shares(0.3, 0.0) == pytest.approx((1.0, 0.0))
    assert slerp_shares(0.3, 1.0) == pytest.approx((0.0, 1.0))
    assert slerp_shares(0.99951, 0.2) == (0.8, 0.2)
    assert slerp_shares(-0.99951, 0.2) == (0.8, 0.2)


def test_distances_are_from_the_average_as_a_share_of_its_length(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    metrics = run(folders, tmp_path, "a", "near", weights=[1, 3]).metrics
    made, parts = weights(tmp_path), [weights(folders[name]) for name in ("a", "near")]

    def length(values: Any) -> float:
        return float(torch.cat([value.double().flatten() for value in values]).norm())

    for part, distance in zip(parts, metrics["distances"], strict=True):
        exact = length([part[n] - made[n] for n in made]) / length(made.values())
        assert distance == pytest.approx(exact, rel=1e-4)
    assert metrics["distances"][0] == pytest.approx(3 * metrics["distances"][1], rel=1e-4)
    assert metrics["distance_max"] == metrics["distances"][0]
    assert metrics["distance_mean"] == pytest.approx(sum(metrics["distances"]) / 2, rel=1e-4)
    far = {n: length([parts[0][n] - made[n]]) / length([made[n]]) for n in made}
    assert metrics["farthest_tensor"] == max(far, key=lambda name: far[name])
    assert metrics["farthest_distance"] == pytest.approx(max(far.values()), rel=1e-4)
    assert metrics["parameters"] == sum(value.numel() for value in made.values())


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_memory_holds_chunks_and_many_files_give_the_same(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The result does not depend on how the inputs are divided into files, and hardly on the size of a chunk."""
    run(folders, tmp_path / "whole", "a", "near", method=method)
    divided = dict(folders)
    for name in ("a", "near"):
        divided[name] = tmp_path / f"divided {name}"
        shutil.copytree(folders[name], divided[name], ignore=shutil.ignore_patterns("*.safetensors"))
        load_model(folders[name]).save_pretrained(str(divided[name]), max_shard_size="100KB")
        make_tokenizer(divided[name])
        assert len(list(divided[name].glob("*.safetensors"))) > 2
    asked: list[int] = []
    numbers = average_files.Reader.numbers

    def counted(self: Any, name: str, start: int, count: int) -> torch.Tensor:
        asked.append(count)
        return numbers(self, name, start, count)

    monkeypatch.setattr("watari.model.averaging.CHUNK", 777)
    monkeypatch.setattr(average_files.Reader, "numbers", counted)
    monkeypatch.setattr(average_files, "SHARD", 60_000)
    run(divided, tmp_path / "divided", "a", "near", method=method)
    assert max(asked) == 777
    assert len(list((tmp_path / "divided").glob("*.safetensors"))) > 2
    assert not (tmp_path / "whole" / "model.safetensors.index.json").exists()
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "divided")
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-6 if method == "slerp" else 0, atol=0)
    model = load_model(tmp_path / "divided")
    for name, value in model.state_dict().items():
        assert torch.equal(value, two[name])


@pytest.mark.parametrize("method", ["linear", "slerp"])
def test_a_tied_model_stays_tied(folders: dict[str, Path], tmp_path: Path, method: str) -> None:
    run(folders, tmp_path / "plain", "tied", "tied near", method=method)
    with_copy = dict(folders)
    with_copy["tied"] = tmp_path / "with copy"
    shutil.copytree(folders["tied"], with_copy["tied"])
    tensors = weights(folders["tied"])
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, with_copy["tied"] / "model.safetensors", {"format": "pt"})
    run(with_copy, tmp_path / "made", "tied", "tied near", method=method)
    for made in ("plain", "made"):
        assert "lm_head.weight" not in weights(tmp_path / made)
        model = load_model(tmp_path / made)
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert all(torch.equal(v, weights(tmp_path / "plain")[k]) for k, v in weights(tmp_path / "made").items())


def test_types_are_the_first_model_s_or_as_told(folders: dict[str, Path], tmp_path: Path) -> None:
    run(folders, tmp_path / "half", "a half", "far")
    half, exact = weights(tmp_path / "half"), weights(folders["far"])
    for name, value in half.items():
        mean = (weights(folders["a half"])[name].double() + exact[name].double()) / 2
        assert torch.equal(value, mean.bfloat16()), name
    run(folders, tmp_path / "full", "a half", "far half", dtype="float32")
    assert {value.dtype for value in weights(tmp_path / "full").values()} == {torch.float32}
    config = json.loads((tmp_path / "full" / "config.json").read_text("utf-8"))
    assert config.get("dtype", config.get("torch_dtype")) == "float32"
    assert load_model(tmp_path / "full", dtype="auto").dtype == torch.float32


def test_config_and_tokenizer_are_the_first_one_s_and_the_bytes_repeat(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    run(folders, tmp_path / "one", "a", "far")
    assert load_tokenizer(tmp_path / "one").chat_template == load_tokenizer(folders["a"]).chat_template
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (folders["a"] / name).read_bytes()
    assert json.loads((tmp_path / "one" / "config.json").read_text("utf-8")) == json.loads(
        (folders["a"] / "config.json").read_text("utf-8")
    )
    run(folders, tmp_path / "two", "a", "far")
    assert digest_of(list_files(tmp_path / "one")) == digest_of(list_files(tmp_path / "two"))
    run(folders, tmp_path / "other", "far", "a")
    assert load_tokenizer(tmp_path / "other").chat_template is None


@pytest.fixture(scope="module")
def trained(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with snapshots 5, 10 and 15, whose order by name is another."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    shutil.copytree(folders["a"], folder)
    for step, name in ((5, "far"), (10, "near"), (15, "nearer")):
        shutil.copytree(folders[name], folder / SNAPSHOTS / f"step-{step}")
    (folder / SNAPSHOTS / ".writing-20").mkdir()
    return folder


def test_the_last_snapshots_take_the_model_s_place(
    folders: dict[str, Path], trained: Path, tmp_path: Path
) -> None:
    from watari.train.session import SNAPSHOTS as WRITTEN

    assert SNAPSHOTS == WRITTEN
    there = {**folders, "trained": trained}
    result = run(there, tmp_path / "made", "trained", snapshots=2, weights=[1, 3])
    run(folders, tmp_path / "want", "near", "nearer", weights=[1, 3])
    assert all(torch.equal(v, weights(tmp_path / "want")[k]) for k, v in weights(tmp_path / "made").items())
    assert result.metrics["members"] == ["trained step 10", "trained step 15"]
    with pytest.raises(UserError, match="snapshots: trained has 3, 4 are asked for"):
        run(there, tmp_path / "more", "trained", snapshots=4)
    with pytest.raises(UserError, match="snapshots: a has 0, 2 are asked for"):
        run(there, tmp_path / "none", "a", snapshots=2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": "a"}, "one is no average"),
        ({"models": ["a", "b", "c"], "method": "slerp"}, "slerp is between two models, here are 3"),
        ({"models": ["a"], "snapshots": 3, "method": "slerp"}, "here are 3"),
        ({"models": ["a", "b"], "weights": [1]}, "weights: 1 for 2 models"),
        ({"models": ["a", "b"], "snapshots": 2, "weights": [1, 1]}, "weights: 2 for 4 models"),
        ({"models": ["a", "b"], "weights": [1, -1]}, "must not be negative"),
        ({"models": ["a", "b"], "weights": [0, 0]}, "not all zero"),
        ({"models": ["a", "b"], "weights": [1, float("inf")]}, "finite"),
    ],
)
def test_a_recipe_s_mistake_is_told_before_anything_runs(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        average.Params(**given)


def _edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = weights(folder)
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _config(folder: Path, **settings: Any) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | settings), "utf-8")


QUANTISED = torch.zeros(4, dtype=torch.int8)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: make_model(f, hidden_size=64), "models: head_dim is 8 in a and 16 in b"),
        (lambda f: _config(f, rms_norm_eps=1e-3), "models: rms_norm_eps is 1e-06 in a and 0.001 in b"),
        (
            lambda f: _config(f, rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
            r"models: rope_parameters.rope_theta is 10000.0 in a and 500000.0 in b",
        ),
        (lambda f: make_tokenizer(f, vocabulary=410), "models: token 410 is '.*' in a and none in b"),
        (
            lambda f: _edit(f, lambda t: t.pop("model.norm.weight")),
            "models: model.norm.weight is in a and not in b",
        ),
        (
            lambda f: _edit(f, lambda t: t.update({"extra": torch.ones(2)})),
            "models: extra is in b and not in a",
        ),
        (
            lambda f: _edit(f, lambda t: t.update({"model.norm.weight": torch.ones(33)})),
            r"models: model.norm.weight is \(32,\) in a and \(33,\) in b",
        ),
        (
            lambda f: _edit(f, lambda t: t["lm_head.weight"].view(-1)[7].fill_(float("nan"))),
            "models: lm_head.weight of b has values that are not finite",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    ],
    ids=["shape", "setting", "nested setting", "token", "missing", "extra", "size", "nan", "no weights"],
)
def test_models_that_do_not_fit_are_named(
    folders: dict[str, Path], tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(folders["a"], tmp_path / "b")
    spoil(tmp_path / "b")
    with pytest.raises(UserError, match=message):
        run({**folders, "b": tmp_path / "b"}, tmp_path / "out", "a", "b")
    assert not (tmp_path / "out" / "config.json").exists()


def test_numbers_that_are_no_floats_must_be_equal(folders: dict[str, Path], tmp_path: Path) -> None:
    there = dict(folders)
    for name, value in (("one", 3), ("same", 3), ("other", 4)):
        there[name] = tmp_path / name
        shutil.copytree(folders["a"], there[name])
        _edit(there[name], lambda t, value=value: t.update({"steps": torch.tensor([1, value])}))
    run(there, tmp_path / "made", "one", "same")
    assert torch.equal(weights(tmp_path / "made")["steps"], torch.tensor([1, 3]))
    with pytest.raises(UserError, match="models: steps differs between one and other and is of type I64"):
        run(there, tmp_path / "not", "one", "other")


def test_a_type_too_small_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["a"], tmp_path / "big")
    _edit(tmp_path / "big", lambda t: t["model.norm.weight"].fill_(1e6))
    with pytest.raises(UserError, match=r"dtype: model\.norm\.weight has values that float16 cannot hold"):
        run({**folders, "big": tmp_path / "big"}, tmp_path / "out", "a", "big", dtype="float16")


def test_it_stops_when_asked(folders: dict[str, Path], tmp_path: Path) -> None:
    class Stop(Silent):
        def stop_requested(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        run(folders, tmp_path, "a", "far", progress=Stop())


def test_the_command_writes_a_model_and_the_documented_figures(
    folders: dict[str, Path], trained: Path, tmp_path: Path
) -> None:
    def command(*words: str | Path, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["average", *map(str, words)])
        error = done.exception
        assert (error.exit_code if isinstance(error, UserError) else done.exit_code) == code, done.output
        return str(error) if isinstance(error, UserError) else done.stdout

    a, far = folders["a"], folders["far"]
    out = command(a, far, "--out", tmp_path / "c", "--weights", "0.25", "0.75", "--method", "slerp", "--json")
    figures = json.loads(out)
    documented = re.search(r"<!-- json: average -->\n```json\n(.*?)```", DOCS.read_text("utf-8"), re.S)
    assert documented is not None
    assert set(figures) - {"tensors_on_the_arc"} == set(json.loads(documented[1]))
    assert figures["weights"] == [0.25, 0.75]
    run(folders, tmp_path / "want", "a", "far", weights=[0.25, 0.75], method="slerp")
    assert (tmp_path / "c" / "model.safetensors").read_bytes() == (
        tmp_path / "want" / "model.safetensors"
    ).read_bytes()
    plain = command(trained, "--snapshots", "3", "--out", tmp_path / "d", "--dtype", "bfloat16")
    assert "step 15" in plain
    assert str(tmp_path / "d") in plain
    assert load_model(tmp_path / "d", dtype="auto").dtype == torch.bfloat16
    assert "is there already" in command(a, far, "--out", tmp_path / "c", code=1)
    assert "--method: Input should be 'linear' or 'slerp'" in command(
        a, far, "--out", tmp_path / "e", "--method", "mean", code=1
    )
    assert "one is no average" in command(a, "--out", tmp_path / "e", code=1)
    assert "no such folder" in command(a, tmp_path / "nothing", "--out", tmp_path / "e", code=1)
