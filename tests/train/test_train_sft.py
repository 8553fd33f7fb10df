"""train.sft: only the assistant is trained, nothing is lost unsaid, the template stays with the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from made_artifacts import as_input, documents
from tiny_llama import TEXT, make_folder
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import UserError
from watari.generate.masking import encode_conversation
from watari.generate.templates import PRESETS
from watari.pretrained import load_model, load_tokenizer
from watari.train import sft
from watari.train.examples import read_conversations

Rows = Callable[..., InputArtifact]
FAST: dict[str, Any] = {"batch": 8, "sequence": 256, "threads": 1, "precision": "fp32", "template": "shisa"}


def run(tiny: InputArtifact, data: Any, out: Path, *, progress: Any = None, **given: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    many = data if isinstance(data, list) else [data]
    texts = [given.pop("evaluate")] if "evaluate" in given else []
    params = sft.Params(
        model="base",
        data=[one.selection for one in many],
        evaluate=[one.selection for one in texts],
        **{**FAST, **given},
    )
    inputs = Inputs({"model": [tiny], "data": many, "evaluate": texts})
    return sft.run(params, inputs, out, progress or Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def dropped(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in pq.read_table(out / "dropped.parquet").to_pylist()}


def test_the_loss_is_transformers_own_on_the_assistants_tokens(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    model, tokenizer = load_model(tiny.path), load_tokenizer(tiny.path)
    total, count = 0.0, 0
    for row in talks:
        (encoded,) = encode_conversation(tokenizer, row["messages"], PRESETS["shisa"])
        labels = [
            token if trained else -100
            for token, trained in zip(encoded.ids, encoded.assistant_mask, strict=True)
        ]
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([encoded.ids]), labels=torch.tensor([labels])).loss
        total += float(loss) * encoded.supervised
        count += encoded.supervised
    data = rows_of("d", Kind.CONVERSATIONS, talks)
    ways: list[dict[str, Any]] = [
        {},
        {"pass_tokens": 1},
        {"pass_tokens": 300},
        {"packing": True},
        {"packing": True, "pass_tokens": 1},
    ]
    norms = []
    for index, way in enumerate(ways):
        out = tmp_path / str(index)
        metrics = run(tiny, data, out, epochs=1, batch=24, **way)
        assert metrics["first_loss"] == pytest.approx(total / count, abs=2e-5)
        assert metrics["supervised_tokens"] == count
        norms.append(log(out)[0]["grad_norm"])
    # The gradient, too, is that of the whole step, in whatever passes or packs it is computed.
    assert norms == pytest.approx([norms[0]] * len(ways), rel=1e-4)


def test_loss_on_the_last_reply_only(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = rows_of("d", Kind.CONVERSATIONS, talks)
    every = run(tiny, data, tmp_path / "all", epochs=1)
    last = run(tiny, data, tmp_path / "last", epochs=1, loss_on="last")
    assert last["data_tokens"] == every["data_tokens"]
    assert 0 < last["supervised_tokens"] < every["supervised_tokens"]


@pytest.mark.parametrize("way", [{"batch": 4}, {"batch": 1, "packing": True, "neftune_alpha": 5.0}])
def test_the_model_learns_and_answers(
    tiny: InputArtifact, rows_of: Rows, tmp_path: Path, way: dict[str, Any]
) -> None:
    rows = [
        {
            "id": str(index),
            "messages": [
                {"role": "user", "content": "Who?"},
                {"role": "assistant", "content": "The red girl."},
            ],
        }
        for index in range(32)
    ]
    data = rows_of("d", Kind.CONVERSATIONS, rows)
    metrics = run(tiny, data, tmp_path / "out", epochs=8, lr=1e-2, sequence=64, **way)
    assert metrics["last_loss"] < 0.1 < metrics["first_loss"]
    # The saved folder alone, with transformers alone: one BOS, the template, the end of the turn.
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"))
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Who?"}], add_generation_prompt=True, return_tensors="pt"
    )["input_ids"]
    answer = model.generate(prompt, max_new_tokens=24, do_sample=False)[0, prompt.shape[1] :]
    assert int(answer[-1]) == tokenizer.eos_token_id
    assert tokenizer.decode(answer, skip_special_tokens=True).strip() == "The red girl."


def test_noise_is_for_training_only(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = rows_of("d", Kind.CONVERSATIONS, talks)
    texts = documents("e", tmp_path / "e", [("en", text) for text in TEXT])
    given: dict[str, Any] = {"epochs": 1, "lr": 1e-30, "weight_decay": 0.0, "evaluate": texts}
    plain = run(tiny, data, tmp_path / "plain", **given)
    noisy = run(tiny, data, tmp_path / "noisy", **given, neftune_alpha=20)
    again = run(tiny, data, tmp_path / "again", **given, neftune_alpha=20)
    assert noisy == again
    # The weights stay where they are, so that every measurement on the way must be that of the model without noise.
    measured = [(tmp_path / name / "eval_log.jsonl").read_bytes() for name in ("plain", "noisy")]
    assert measured[0] == measured[1]
    assert len(measured[0].splitlines()) == 1 + plain["steps"]
    assert noisy["first_loss"] != plain["first_loss"]
    assert noisy["data_tokens"] == plain["data_tokens"]
    names = {name for name, _ in load_model(tmp_path / "noisy").named_buffers()}
    assert names == {name for name, _ in load_model(tiny.path).named_buffers()}


def test_nothing_is_dropped_unsaid(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    user, reply = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}
    bad = {
        "no messages": ([], "messages are malformed"),
        "no text": ([user, {"role": "assistant", "content": None}], "messages are malformed"),
        "no role": ([{"role": None, "content": "x"}, reply], "messages are malformed"),
        "question last": ([user, reply, user], "does not end with a reply"),
        "blank reply": ([user, {"role": "assistant", "content": " \n"}], "a reply is empty"),
        "two users": ([user, user, reply], "refused by the chat template"),
        "system later": (
            [user, reply, {"role": "system", "content": "x"}, reply],
            "refused by the chat template",
        ),
        "a tool": ([{"role": "tool", "content": "x"}, reply], "refused by the chat template"),
        "control": (
            [{"role": "user", "content": "say </s>"}, reply],
            "a message holds the text of a control token",
        ),
        "long": ([{"role": "user", "content": "x " * 300}, reply], "longer than the sequence"),
    }
    rows = [
        *talks,
        *({"id": name, "messages": messages, "source": "bad"} for name, (messages, _) in bad.items()),
    ]
    metrics = run(tiny, rows_of("d", Kind.CONVERSATIONS, rows), tmp_path / "out", epochs=1)
    assert dropped(tmp_path / "out") == {name: reason for name, (_, reason) in bad.items()}
    assert (metrics["rows_in"], metrics["kept"], metrics["dropped"]) == (34, 24, 10)
    assert sum(metrics["dropped_by_reason"].values()) == 10


def test_no_row_left_is_told(tiny: InputArtifact, rows_of: Rows, talks: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of 24 conversations"):
        run(tiny, rows_of("d", Kind.CONVERSATIONS, talks), tmp_path / "out", sequence=8)


def test_a_large_share_of_dropped_rows_is_told_at_once(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    class Hearing(Silent):
        def __init__(self) -> None:
            self.lines: list[tuple[str, dict[str, Any]]] = []

        def log(self, message: str, **fields: Any) -> None:
            self.lines.append((message, fields))

    bad = {"id": "bad", "messages": talks[0]["messages"][:1], "source": "made"}
    for count, told in ((2, False), (3, True)):
        hearing = Hearing()
        rows = [*talks, *({**bad, "id": f"bad{number}"} for number in range(count))]
        data = rows_of(f"d{count}", Kind.CONVERSATIONS, rows)
        run(tiny, data, tmp_path / str(count), epochs=1, progress=hearing)
        found = [fields for message, fields in hearing.lines if "cannot be trained on" in message]
        assert found == ([{"reasons": {"does not end with a reply": 3}}] if told else [])


def test_long_rows_are_cut_if_asked_and_counted(tiny: InputArtifact, rows_of: Rows, tmp_path: Path) -> None:
    user, reply = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}
    rows = [
        {"id": "fits", "messages": [user, reply]},
        {"id": "long reply", "messages": [user, {"role": "assistant", "content": "Ball, " * 40}]},
        {"id": "late turn", "messages": [user, reply, {"role": "user", "content": "x " * 200}, reply]},
        {"id": "long question", "messages": [{"role": "user", "content": "x " * 200}, reply]},
    ]
    data = rows_of("d", Kind.CONVERSATIONS, rows)
    dropping = run(tiny, data, tmp_path / "drop", epochs=1, sequence=64)
    assert (dropping["kept"], dropping["cut"]) == (1, 0)
    assert dropping["dropped_by_reason"] == {"longer than the sequence": 3}
    cutting = run(tiny, data, tmp_path / "cut", epochs=1, sequence=64, too_long="cut")
    assert (cutting["kept"], cutting["cut"], cutting["dropped"]) == (3, 2, 1)
    assert dropped(tmp_path / "cut") == {"long question": "nothing to train on once cut to the sequence"}
    (one,) = cutting["datasets"]
    assert one["tokens"] == cutting["data_tokens"] == dropping["data_tokens"] + 2 * 64
    last = run(tiny, data, tmp_path / "last", epochs=1, sequence=64, too_long="cut", loss_on="last")
    assert (last["kept"], last["cut"], last["dropped"]) == (2, 1, 2)
    # What is left of a cut row is the start of the whole one, and trained where that is.
    tokenizer = load_tokenizer(tiny.path)
    examples = read_conversations(
        [data],
        tokenizer,
        PRESETS["shisa"],
        sequence=64,
        loss_on="assistant",
        too_long="cut",
        seed=0,
        stage="s",
    )
    (whole,) = encode_conversation(tokenizer, rows[1]["messages"], PRESETS["shisa"])  # type: ignore[arg-type]
    assert examples.samples[1].ids.tolist() == whole.ids[:64]
    assert examples.samples[1].trained.tolist() == whole.assistant_mask[:64]


def test_stages_in_a_row_with_shares_of_datasets(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Both languages, then one: every count is that of the selections, and the template comes along."""
    rows = [{**row, "language": "ja" if index % 2 else "en"} for index, row in enumerate(talks)]
    bad = {"id": "bad", "messages": [], "language": "ja", "source": "made"}
    english = rows_of("en", Kind.CONVERSATIONS, rows, where={"language": "en"}, limit=6)
    japanese = rows_of("ja", Kind.CONVERSATIONS, [*rows, bad], where={"language": "ja"}, ratio=2.0)
    first = run(tiny, [english, japanese], tmp_path / "first", epochs=1)
    assert [(one["rows"], one["kept"]) for one in first["datasets"]] == [(6, 6), (26, 24)]
    assert first["dropped_by_reason"] == {"messages are malformed": 2}
    assert (first["rows_in"], first["kept"], first["conversations"], first["steps"]) == (32, 30, 30, 4)
    for total, each in (("data_tokens", "tokens"), ("supervised_tokens", "supervised_tokens")):
        assert first[total] == sum(one[each] for one in first["datasets"])
    between = as_input("first", tmp_path / "first", Kind.MODEL)
    only = rows_of("ja2", Kind.CONVERSATIONS, rows, where={"language": "ja"})
    second = run(between, only, tmp_path / "second", epochs=1, template="model")
    assert [one["kept"] for one in second["datasets"]] == [12]
    assert second["data_tokens"] * 2 == first["datasets"][1]["tokens"]
    stored = [load_tokenizer(tmp_path / name).chat_template for name in ("first", "second")]
    assert stored == [PRESETS["shisa"]] * 2


def test_copies_of_a_row_are_drawn_for_apart(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]]
) -> None:
    examples = read_conversations(
        [rows_of("d", Kind.CONVERSATIONS, talks, ratio=2.0), rows_of("e", Kind.CONVERSATIONS, talks[:1])],
        load_tokenizer(tiny.path),
        PRESETS["shisa"],
        sequence=256,
        loss_on="assistant",
        too_long="drop",
        seed=0,
        stage="s",
    )
    ids = [sample.id for sample in examples.samples]
    assert len(set(ids)) == len(ids) == 49
    assert ids[:2] == ["t0", "t0 (2)"]
    assert ids[-1] == "t0 (3)"
    # So that the copies do not stand side by side in an epoch.
    params = sft.Params(model="m", data="d", epochs=1, batch=49)
    tuning = sft.FineTuning(examples.samples, params)
    order = [sample.id.partition(" ")[0] for (sample,) in tuning._plan[0]]
    assert sum(a == b for a, b in pairwise(order)) < 6


def test_what_packing_wastes_is_told(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = rows_of("d", Kind.CONVERSATIONS, talks)
    assert "packing_waste" not in run(tiny, data, tmp_path / "plain", epochs=1)
    metrics = run(tiny, data, tmp_path / "packed", epochs=2, packing=True, batch=2, sequence=192)
    rows = metrics["rows"] // 2
    assert rows < metrics["conversations"] / 2
    # All rows but the emptiest of each epoch hold at least what the whole data would fill so many rows with.
    least = 1 - metrics["data_tokens"] / (192 * (rows - 1))
    assert max(0.0, least) <= metrics["packing_waste"] < 0.1


def test_several_datasets_with_selections(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = rows_of("a", Kind.CONVERSATIONS, talks[:12], limit=5)
    second = rows_of("b", Kind.CONVERSATIONS, talks[12:], where={"language": "en"}, ratio=2.0)
    metrics = run(tiny, [first, second], tmp_path / "out", epochs=1)
    assert metrics["rows_in"] == metrics["kept"] == 5 + 2 * 12
    assert metrics["steps"] == 4


def test_epochs_come_in_other_orders_but_whole(rows_of: Rows, talks: list[dict[str, Any]]) -> None:
    import numpy as np

    from watari.train.batches import Sample

    samples = [
        Sample(row["id"], np.arange(4 + index, dtype=np.int32), np.ones(4 + index, np.bool_))
        for index, row in enumerate(talks)
    ]
    for packing in (False, True):
        params = sft.Params(model="m", data="d", epochs=2, batch=4, sequence=64, packing=packing)
        objective = sft.FineTuning(samples, params)
        order = [[sorted(batch[1]) for batch in objective.passes(step)] for step in range(objective.steps)]
        names = [name for step in order for part in step for name in part]
        half = len(names) // 2
        assert sorted(names[:half]) == sorted(names[half:]) == sorted(row["id"] for row in talks)
        assert order[: len(order) // 2] != order[len(order) // 2 :]
        other = sft.FineTuning(samples, params.model_copy(update={"seed": 1}))
        assert [sorted(batch[1]) for batch in other.passes(0)] != order[0]


@pytest.mark.parametrize("name", ["shisa", "swallow", "model", "file"])
def test_the_saved_template_is_the_trained_one(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path, name: str
) -> None:
    from transformers import AutoTokenizer

    from tiny_llama import TEMPLATE

    given: dict[str, Any] = {"template": name}
    expected = {**PRESETS, "model": TEMPLATE, "file": PRESETS["swallow"].replace("[INST]", "[ASK]")}[name]
    if name == "file":
        (tmp_path / "own.jinja").write_text(expected, "utf-8")
        given = {"template_file": str(tmp_path / "own.jinja")}
    run(tiny, rows_of("d", Kind.CONVERSATIONS, talks), tmp_path / "out", epochs=1, **given)
    saved = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    assert saved.chat_template == expected
    base = load_tokenizer(tiny.path)
    for row in talks[:3]:
        (encoded,) = encode_conversation(base, row["messages"], expected)
        assert saved.apply_chat_template(row["messages"])["input_ids"] == encoded.ids
        assert encoded.ids.count(1) == (encoded.ids.count(2) if name == "shisa" else 1)


def test_the_end_of_a_turn_reaches_the_generation_settings(
    tiny: InputArtifact, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A template that ends turns with another token than EOS: the model must stop at it when served."""
    template = PRESETS["swallow"].replace("eos_token", "'<unk>'")
    (tmp_path / "own.jinja").write_text(template, "utf-8")
    data = rows_of("d", Kind.CONVERSATIONS, talks)
    run(tiny, data, tmp_path / "out", epochs=1, template_file=str(tmp_path / "own.jinja"))
    assert load_model(tmp_path / "out").generation_config.eos_token_id == [0, 2]
    run(tiny, data, tmp_path / "plain", epochs=1)
    assert load_model(tmp_path / "plain").generation_config.eos_token_id == 2


def test_a_model_without_a_template_asks_for_one(
    rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path
) -> None:
    base = as_input("base", make_folder(tmp_path / "bare", template=None), Kind.MODEL)
    with pytest.raises(UserError, match=r"no chat template.*template: shisa"):
        run(base, rows_of("d", Kind.CONVERSATIONS, talks), tmp_path / "out", template="model")
