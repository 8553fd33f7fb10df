"""train.pretrain: every token is predicted, mixtures are exact, the vocabulary is checked, the model learns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.artifact.tokens import TokensInfo
from watari.errors import StageFailed, UserError
from watari.pretrained import load_model
from watari.train import pretrain
from watari.train.windows import Source, mix, quotas

Shard = Callable[..., InputArtifact]
FAST: dict[str, Any] = {"batch": 4, "sequence": 32, "threads": 1, "precision": "fp32"}


def run(tiny: InputArtifact, data: Sequence[InputArtifact], out: Path, **given: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    params = pretrain.Params(model="base", data=[one.selection for one in data], **{**FAST, **given})
    return pretrain.run(params, Inputs({"model": [tiny], "data": list(data)}), out, Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(8, 40), st.booleans())
def test_every_token_is_predicted_once_an_epoch(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], sequence: int, respect: bool
) -> None:
    from watari.artifact.tokens import TokenWriter

    if sum(lengths) < 2:
        return
    folder = tmp_path_factory.mktemp("windows")
    with TokenWriter(folder / "t", TokensInfo(420, "t", None, None)) as writer:
        value = 0
        for index, length in enumerate(lengths):
            ids = [v % 420 for v in range(value, value + length)]
            writer.add(str(index), ids, language="", source="", characters=1)
            value += length
    from made_artifacts import as_input
    from watari.artifact.kinds import Kind

    source = Source(as_input("t", folder / "t", Kind.TOKENS), sequence, seed=0, stage="s")
    seen: list[tuple[int, int]] = []
    for window in range(source.windows):
        pieces = source.read(window, respect_documents=respect)
        assert sum(len(piece) for piece in pieces) <= sequence + 1
        for piece in pieces:
            seen += list(zip(piece.ids[:-1].tolist(), piece.ids[1:].tolist(), strict=True))
    stream = [v % 420 for v in range(sum(lengths))]
    ends = set(np.cumsum(lengths).tolist())
    wanted = [
        (stream[at], stream[at + 1]) for at in range(len(stream) - 1) if not (respect and at + 1 in ends)
    ]
    assert Counter(seen) == Counter(wanted)


def test_a_budget_is_shared_by_weight_all_along(shard_of: Shard, stories: list[list[int]]) -> None:
    big, small = shard_of("big", stories * 3, ratio=0.9), shard_of("small", stories[:20], ratio=0.1)
    sources = [Source(one, 16, seed=0, stage="s") for one in (big, small)]
    counts = quotas(sources, 16, tokens=16 * 400, epochs=None)
    assert counts == [360, 40]
    mixture = mix(sources, counts, seed=5, stage="s")
    for start in range(0, 400, 50):
        assert abs(int((mixture.source[start : start + 50] == 1).sum()) - 5) <= 1
    # Passes over a source are whole permutations of it.
    own = mixture.window[mixture.source == 1]
    whole = sources[1].windows
    assert sorted(own[:whole].tolist()) == list(range(whole))
    assert own[:whole].tolist() != sorted(own[:whole].tolist())
    again = mix(sources, counts, seed=5, stage="s")
    assert np.array_equal(mixture.window, again.window)
    assert not np.array_equal(mixture.window, mix(sources, counts, seed=6, stage="s").window)


def test_epochs_and_ratios_repeat_a_source(shard_of: Shard, stories: list[list[int]]) -> None:
    sources = [
        Source(shard_of("a", stories), 16, seed=0, stage="s"),
        Source(shard_of("b", stories[:20], ratio=3.0), 16, seed=0, stage="s"),
    ]
    counts = quotas(sources, 16, tokens=None, epochs=2)
    assert counts == [2 * sources[0].windows, 6 * sources[1].windows]
    mixture = mix(sources, counts, seed=0, stage="s")
    assert mixture.tokens == (2 * (sources[0].tokens - 1), 6 * (sources[1].tokens - 1))


@pytest.mark.parametrize(
    ("ratios", "budget", "said"),
    [
        ((0.5, None), {"tokens": 100, "epochs": None}, "'b' has no ratio"),
        ((0.0, 0.0), {"tokens": 100, "epochs": None}, "ratio 0"),
        ((0.0, 0.0), {"tokens": None, "epochs": 1}, "ratio 0"),
        ((1.0, 1.0), {"tokens": None, "epochs": None}, "either tokens"),
        ((1.0, 1.0), {"tokens": 5, "epochs": 1}, "either tokens"),
    ],
)
def test_senseless_mixtures_are_told(
    shard_of: Shard, stories: list[list[int]], ratios: Any, budget: Any, said: str
) -> None:
    sources = [
        Source(shard_of(name, stories, ratio=ratio), 16, seed=0, stage="s")
        for name, ratio in zip("ab", ratios, strict=True)
    ]
    with pytest.raises(UserError, match=said):
        quotas(sources, 16, **budget)


def test_replay_is_its_share_of_the_windows_all_along(shard_of: Shard, stories: list[list[int]]) -> None:
    new = [Source(shard_of("new", stories * 3), 16, seed=0, stage="s")]
    base = [
        Source(shard_of("books", stories, ratio=3.0), 16, seed=0, stage="s"),
        Source(shard_of("web", stories, ratio=1.0), 16, seed=0, stage="s"),
    ]
    counts = quotas(new, 16, tokens=16 * 400, epochs=None, replayed=base, replay_ratio=0.2)
    assert counts == [320, 60, 20]
    mixture = mix([*new, *base], counts, seed=1, stage="s")
    for start in range(0, 400, 40):
        assert abs(int((mixture.source[start : start + 40] > 0).sum()) - 8) <= 1
    # Counted in passes over the new text, replay comes on top.
    counts = quotas(new, 16, tokens=None, epochs=2, replayed=base, replay_ratio=0.25)
    assert counts[0] == 2 * new[0].windows
    assert sum(counts[1:]) == pytest.approx(sum(counts) / 4, abs=1)
    assert quotas(new, 16, tokens=16 * 400, epochs=None, replay_ratio=0.25) == [400]


def test_a_run_with_replay_tells_it(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    new, base = shard_of("new", stories), shard_of("base", stories[:20])
    params = pretrain.Params(
        model="base", data=["new"], replay=["base"], replay_ratio=0.25, tokens=2560, **FAST
    )
    inputs = Inputs({"model": [tiny], "data": [new], "replay": [base]})
    metrics = pretrain.run(params, inputs, tmp_path, Silent()).metrics
    assert metrics["source_tokens"][1] == pytest.approx(640, abs=40)
    assert metrics["replayed"] == pytest.approx(0.25, abs=0.02)


def test_a_selection_takes_its_documents(shard_of: Shard, stories: list[list[int]]) -> None:
    whole = shard_of("w", stories, languages=("ja", "en"))
    chosen = shard_of("c", stories, languages=("ja", "en"), where={"language": "en"}, limit=10)
    source = Source(chosen, 16, seed=0, stage="s")
    expected = [token for ids in stories[1:20:2] for token in ids]
    read = [source.read(window, respect_documents=False)[0].ids for window in range(source.windows)]
    assert [int(v) for ids in read for v in ids[:-1]] + [int(read[-1][-1])] == expected
    assert Source(whole, 16, seed=0, stage="s").tokens == sum(len(ids) for ids in stories)
    with pytest.raises(UserError, match="keeps none"):
        Source(shard_of("n", stories, where={"language": "ko"}), 16, seed=0, stage="s")


@pytest.mark.parametrize("respect", [False, True])
def test_the_model_learns_the_stories(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path, respect: bool
) -> None:
    data = shard_of("d", stories)
    metrics = run(tiny, [data], tmp_path / "out", epochs=6, lr=2e-2, respect_documents=respect)
    lines = log(tmp_path / "out")
    assert metrics["first_loss"] == lines[0]["loss"] > 5.5
    assert metrics["last_loss"] < 2.5
    assert metrics["steps"] == len(lines) == lines[-1]["step"]
    predicted = sum(map(len, stories)) - (len(stories) if respect else 1)
    # Documents that a window's edge cuts lose nothing: the edge token is predicted by the window before.
    assert metrics["tokens"] == lines[-1]["tokens"] == 6 * predicted
    assert metrics["source_epochs"] == [6.0]
    assert metrics["parameters"] == 45_472
    model = load_model(tmp_path / "out")
    ids = torch.tensor([stories[0]])
    with torch.no_grad():
        assert float(model(input_ids=ids, labels=ids).loss) < 3
    speed = (tmp_path / "out" / "logs" / "speed.jsonl").read_text("utf-8").splitlines()
    assert json.loads(speed[-1])["step"] == len(lines)


def test_the_first_loss_is_transformers_own(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    """One step over the whole data: the mean over its tokens, whatever the passes."""
    data = shard_of("d", stories[:8])
    stream = torch.tensor([[token for ids in stories[:8] for token in ids]])
    model = load_model(tiny.path)
    with torch.no_grad():
        expected = float(model(input_ids=stream, labels=stream).loss)
    length = stream.shape[1] - 1
    losses = []
    for passes in (10_000, 1):
        out = tmp_path / str(passes)
        run(tiny, [data], out, epochs=1, sequence=length, pass_tokens=passes)
        losses.append(log(out)[0]["loss"])
    assert losses[0] == pytest.approx(expected, abs=2e-5)
    many = [run(tiny, [data], tmp_path / f"m{p}", epochs=1, batch=99, pass_tokens=p) for p in (10_000, 32)]
    assert many[0]["first_loss"] == pytest.approx(many[1]["first_loss"], abs=2e-5)
    assert log(tmp_path / "m32")[0]["grad_norm"] == pytest.approx(
        log(tmp_path / "m10000")[0]["grad_norm"], rel=1e-4
    )


def test_a_rerun_gives_the_same_bytes(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    from watari.artifact.manifest import digest_of, list_files

    data = shard_of("d", stories)
    digests = []
    for name in ("one", "two"):
        run(tiny, [data], tmp_path / name, tokens=500, precision="auto")
        digests.append(digest_of(list_files(tmp_path / name)))
    assert digests[0] == digests[1]
    names = {entry.path for entry in list_files(tmp_path / "one")}
    assert {"model.safetensors", "train_log.jsonl", "tokenizer.json"} <= names
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tiny.path / name).read_bytes()


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (TokensInfo(421, "t", 1, 2), "vocabulary 421, the model's tokenizer 420"),
        (TokensInfo(420, "t", 3, 2), "BOS id 3, the model's tokenizer 1"),
        (TokensInfo(420, "t", None, 0), "EOS id 0, the model's tokenizer 2"),
    ],
)
def test_tokens_of_another_tokenizer_are_refused(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path, info: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        run(tiny, [shard_of("d", stories, info=info)], tmp_path / "out", tokens=100)


def test_a_diverging_run_is_stopped_with_its_step(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    with pytest.raises(StageFailed, match=r"step \d+ of \d+: the (loss|gradient) is not finite"):
        run(tiny, [shard_of("d", stories)], tmp_path / "out", epochs=20, lr=1e30, clip=0, warmup=0)
    for line in log(tmp_path / "out"):
        assert np.isfinite(line["loss"])


def test_bfloat16_weights_are_written_when_asked_for(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    run(tiny, [shard_of("d", stories)], tmp_path / "out", tokens=200, save_dtype="bfloat16")
    model = load_model(tmp_path / "out", dtype="auto")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["dtype"] == "bfloat16"


def test_a_tied_head_stays_tied(shard_of: Shard, stories: list[list[int]], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from made_artifacts import as_input
    from tiny_llama import make_folder
    from watari.artifact.kinds import Kind

    base = as_input("tied", make_folder(tmp_path / "m", tied=True, initializer_range=0.05), Kind.MODEL)
    metrics = run(base, [shard_of("d", stories)], tmp_path / "out", epochs=4, lr=2e-2)
    assert metrics["last_loss"] < 3.5
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    model: Any = load_model(tmp_path / "out")
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_a_sequence_beyond_the_context_is_told(
    tiny: InputArtifact, shard_of: Shard, stories: list[list[int]], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="sequence: 257 tokens are more than the model's context of 256"):
        run(tiny, [shard_of("d", stories)], tmp_path / "out", tokens=100, sequence=257)
