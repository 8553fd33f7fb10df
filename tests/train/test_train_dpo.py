"""train.dpo: the loss is the paper's and TRL's, the reference is computed once, what is held out stays out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from tiny_llama import TEXT
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import Interrupted, UserError
from watari.generate.masking import encode_reply
from watari.generate.templates import PRESETS
from watari.pretrained import load_model, load_tokenizer
from watari.train import dpo, preference_score
from watari.train.device import Compute
from watari.train.language_model import LanguageModel
from watari.train.pairs import read_preferences
from watari.train.preference_rows import pair_passes
from watari.train.preference_score import score

Rows = Callable[..., InputArtifact]
FAST: dict[str, Any] = {
    "batch": 8,
    "sequence": 256,
    "threads": 1,
    "precision": "fp32",
    "template": "swallow",
    "lr": 1e-4,
    "holdout": 0.25,
}


def run(
    tiny: InputArtifact, data: InputArtifact, out: Path, reference: InputArtifact | None = None, **given: Any
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    params = dpo.Params(model="base", data=[data.selection], **{**FAST, **given})
    inputs = {"model": [tiny], "data": [data], **({"reference": [reference]} if reference else {})}
    return dpo.run(params, Inputs(inputs), out, Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def test_it_starts_at_ln_2_and_learns(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    metrics = run(tiny, rows_of("d", Kind.PREFERENCES, choices), tmp_path / "out", epochs=6, lr=3e-3)
    first, *_, last = log(tmp_path / "out")
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (first["margin"], first["accuracy"]) == (0, 0.5)
    assert last["loss"] < 0.3
    assert last["accuracy"] == 1
    assert last["margin"] == pytest.approx(last["chosen_reward"] - last["rejected_reward"], abs=1e-4)
    before, after = metrics["before"], metrics["after"]
    assert before["train"]["pairs"] + before["holdout"]["pairs"] == 24
    assert before["holdout"]["pairs"] == after["holdout"]["pairs"] > 0
    for part in ("train", "holdout"):
        assert before[part]["reward_accuracy"] == 0.5
        assert before[part]["loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert after[part]["reward_accuracy"] > 0.9
        assert after[part]["margin"] > 1
    assert metrics["steps"] == 6 * -(-before["train"]["pairs"] // 8)


def test_bfloat16_starts_at_ln_2_too(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    """To the last bit: the reference is computed in the very passes in which the policy will be."""
    run(tiny, rows_of("d", Kind.PREFERENCES, choices), tmp_path / "out", precision="bf16", pass_tokens=300)
    first = log(tmp_path / "out")[0]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (first["margin"], first["kl_chosen"], first["kl_rejected"]) == (0, 0, 0)


@pytest.mark.parametrize(("pass_tokens", "joint"), [(10_000, True), (10_000, False), (1, True)])
def test_log_probabilities_are_transformers_own(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], pass_tokens: int, joint: bool
) -> None:
    tokenizer, model = load_tokenizer(tiny.path), load_model(tiny.path)
    data = rows_of("d", Kind.PREFERENCES, choices)
    found = read_preferences([data], tokenizer, PRESETS["shisa"], sequence=256, seed=0, stage="s")
    scored = score(
        LanguageModel(model, Compute(torch.device("cpu"), torch.float32)),
        pair_passes(found.pairs, pass_tokens, joint=joint),
        progress=Silent(),
        note="",
    )
    for row, pair in zip(choices, found.pairs, strict=True):
        for side in ("chosen", "rejected"):
            messages = [*row["prompt"], {"role": "assistant", "content": row[side]}]
            encoded = encode_reply(tokenizer, messages, PRESETS["shisa"])
            ids = torch.tensor([encoded.ids])
            with torch.no_grad():
                each = torch.log_softmax(model(input_ids=ids).logits, -1)[0, :-1].gather(1, ids[0, 1:, None])
            expected = float(each[:, 0][torch.tensor(encoded.assistant_mask[1:])].sum())
            assert getattr(scored[pair.key], side) == pytest.approx(expected, abs=1e-4)


def test_losses_are_those_of_trl(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The whole trainer, four steps over one full batch: rendering, masks, loss, gradients and AdamW agree."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    rows = choices[:6]
    settings: dict[str, Any] = {"batch": 6, "epochs": 4, "lr": 1e-3, "schedule": "constant", "warmup": 0}
    run(tiny, rows_of("d", Kind.PREFERENCES, rows), tmp_path / "ours", holdout=0, beta=0.2, **settings)
    tokenizer = load_tokenizer(tiny.path)
    tokenizer.chat_template = PRESETS["swallow"]
    tokenizer.pad_token = tokenizer.eos_token
    given = datasets.Dataset.from_list(
        [
            {
                "prompt": row["prompt"],
                "chosen": [{"role": "assistant", "content": row["chosen"]}],
                "rejected": [{"role": "assistant", "content": row["rejected"]}],
            }
            for row in rows
        ]
    )
    config = trl.DPOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=6,
        max_steps=4,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        beta=0.2,
        adam_beta2=0.95,
        logging_steps=1,
        report_to=[],
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        save_strategy="no",
        precompute_ref_log_probs=True,
        disable_tqdm=True,
        optim="adamw_torch",
    )
    trainer = trl.DPOTrainer(str(tiny.path), args=config, train_dataset=given, processing_class=tokenizer)
    trainer.train()
    theirs = [line for line in trainer.state.log_history if "loss" in line]
    ours = log(tmp_path / "ours")
    assert [line["loss"] for line in ours] == pytest.approx([line["loss"] for line in theirs], abs=2e-4)
    assert [line["grad_norm"] for line in ours] == pytest.approx(
        [line["grad_norm"] for line in theirs], rel=2e-3
    )
    for own, name in (("margin", "rewards/margins"), ("chosen_reward", "rewards/chosen")):
        assert [line[own] for line in ours] == pytest.approx([line[name] for line in theirs], abs=2e-3)


def test_a_reference_of_its_own(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    from made_artifacts import as_input
    from tiny_llama import make_folder

    other = as_input("other", make_folder(tmp_path / "o", seed=9, initializer_range=0.05), Kind.MODEL)
    data = rows_of("d", Kind.PREFERENCES, choices)
    metrics = run(tiny, data, tmp_path / "out", reference=other)
    assert metrics["before"]["train"]["loss"] != pytest.approx(math.log(2), abs=1e-4)
    same = run(tiny, data, tmp_path / "same", reference=tiny)
    assert same == run(tiny, data, tmp_path / "default")
    wide = as_input("wide", make_folder(tmp_path / "w", rows=448), Kind.MODEL)
    with pytest.raises(UserError, match="vocabulary of 448, the model one of 420"):
        run(tiny, data, tmp_path / "wrong", reference=wide)


def test_another_run_takes_the_reference_over(
    tiny: InputArtifact,
    rows_of: Rows,
    choices: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For the pairs that it holds, and only against the same reference: no pass over them is computed again."""
    from made_artifacts import as_input

    data = rows_of("d", Kind.PREFERENCES, choices)
    run(tiny, rows_of("part", Kind.PREFERENCES, choices[:15]), tmp_path / "first")
    earlier = as_input("earlier", tmp_path / "first", Kind.MODEL)
    whole = run(tiny, data, tmp_path / "whole")
    table = pq.read_table(tmp_path / "whole" / "reference.parquet").to_pylist()
    assert len(table) == 24
    assert {row["model"] for row in table} == {tiny.manifest.digest}
    assert {row["precision"] for row in table} == {"fp32"}
    assert all(row["chosen"] < 0 and row["chosen_tokens"] > 1 for row in table)
    scored: list[int] = []
    real = preference_score.reply_logprobs

    def counted(model: Any, batch: Any) -> Any:
        if not torch.is_grad_enabled():
            scored.append(len(batch.spans) // 2)
        return real(model, batch)

    monkeypatch.setattr(preference_score, "reply_logprobs", counted)
    params = dpo.Params(model="m", data="d", reference_scores="earlier", **FAST)
    inputs = Inputs({"model": [tiny], "data": [data], "reference_scores": [earlier]})
    (tmp_path / "out").mkdir()
    metrics = dpo.run(params, inputs, tmp_path / "out", Silent()).metrics
    # The 9 others before, all 24 after.
    assert sum(scored) == 9 + 24
    assert (metrics["reference_taken"], whole["reference_taken"]) == (15, 0)
    assert metrics["after"]["train"]["loss"] == pytest.approx(whole["after"]["train"]["loss"], abs=1e-4)
    bf16 = params.model_copy(update={"precision": "bf16"})
    with pytest.raises(UserError, match="the reference in fp32"):
        dpo.run(bf16, inputs, tmp_path / "out2", Silent())


def test_shared_prompts_change_nothing_but_the_last_bits(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    long = [{**row, "prompt": [{"role": "user", "content": f"{TEXT[0]} {row['id']}?"}]} for row in choices]
    data = rows_of("d", Kind.PREFERENCES, long)
    for name, share in (("shared", True), ("apart", False)):
        run(tiny, data, tmp_path / name, share_prompts=share, lr=3e-3, epochs=2)
    one, two = log(tmp_path / "shared"), log(tmp_path / "apart")
    for name in one[0].keys() - {"step", "lr", "tokens"}:
        assert [line[name] for line in one] == pytest.approx([line[name] for line in two], abs=1e-3), name
    assert [line["tokens"] for line in one] == [line["tokens"] for line in two]


def test_held_out_pairs_are_followed_and_a_stopped_run_tells_the_same(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    class Stopping(Silent):
        """Stop after the third step."""

        steps = 0

        def update(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
            self.steps = int(done) if unit == "steps" else self.steps

        def stop_requested(self) -> bool:
            return self.steps == 3

    data = rows_of("d", Kind.PREFERENCES, choices)
    given: dict[str, Any] = {"epochs": 3, "lr": 3e-3, "holdout_steps": 2}
    metrics = run(tiny, data, tmp_path / "whole", **given)
    path = tmp_path / "whole" / "holdout_log.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    steps = metrics["steps"]
    assert [line["step"] for line in lines] == sorted({*range(0, steps, 2), steps})
    held = metrics["after"]["holdout"]["pairs"]
    assert all(line["pairs"] == held for line in lines)
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert lines[-1] == pytest.approx({"step": steps, **metrics["after"]["holdout"]}, abs=1e-5)
    assert lines[-1]["margin"] > lines[1]["margin"] > 0
    params = dpo.Params(model="m", data="d", **{**FAST, **given})
    inputs = Inputs({"model": [tiny], "data": [data]})
    (tmp_path / "out").mkdir()
    with pytest.raises(Interrupted):
        dpo.run(params, inputs, tmp_path / "out", Stopping())
    # As if it had been killed later, after a measurement of which its checkpoint knows nothing.
    with (tmp_path / "out" / "holdout_log.jsonl").open("a") as handle:
        handle.write(json.dumps({**lines[2], "loss": 9.0}) + "\n")
    dpo.run(params, inputs, tmp_path / "out", Silent())
    assert (tmp_path / "out" / "holdout_log.jsonl").read_bytes() == path.read_bytes()


def test_drift_is_in_every_line_of_the_log(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Rejected replies leak (a word that no prompt holds) and are longer: training against them shows in every figure."""
    rows = [
        {**row, "language": "ja", "chosen": f"赤い{row['id']}", "rejected": f"青い bird is here {row['id']}"}
        for row in choices
    ]
    metrics = run(
        tiny, rows_of("d", Kind.PREFERENCES, rows), tmp_path / "out", epochs=6, lr=3e-3, rpo_alpha=0.5
    )
    assert metrics["leaking"] == {"judged": 24, "chosen": 0, "rejected": 24}
    first, *_, last = log(tmp_path / "out")
    assert first["loss"] == pytest.approx(math.log(2) + 0.5 * first["chosen_nll"], abs=1e-5)
    for name in ("kl_chosen", "kl_rejected", "length_gap", "length_slope", "leaking_reward", "clean_reward"):
        assert first[name] == 0, name
    assert last["kl_chosen"] > 0 > last["kl_rejected"]
    assert last["length_gap"] < 0
    assert last["length_slope"] < 0
    assert last["leaking_reward"] < 0 < last["clean_reward"]
    assert last["chosen_nll"] < first["chosen_nll"]
    assert metrics["after"]["holdout"]["length_correlation"] < -0.5


def test_long_pairs_are_cut_if_asked(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows = [{**row, "chosen": row["chosen"] * 20} if row["id"] == "p3" else row for row in choices]
    data = rows_of("d", Kind.PREFERENCES, rows)
    dropped = run(tiny, data, tmp_path / "drop", sequence=96)
    cut = run(tiny, data, tmp_path / "cut", sequence=96, too_long="cut")
    assert (dropped["kept"], dropped["cut"]) == (23, {"prompts": 0, "replies": 0})
    assert (cut["kept"], cut["cut"]) == (24, {"prompts": 0, "replies": 1})


def test_only_so_many_training_pairs_are_measured(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    metrics = run(tiny, rows_of("d", Kind.PREFERENCES, choices), tmp_path / "out", measured=5)
    assert metrics["before"]["train"]["pairs"] == metrics["after"]["train"]["pairs"] == 5
    assert metrics["kept"] == 24


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"neftune_alpha": 5}, "first loss is not ln 2"),
        ({"z_loss": 1e-4}, "z_loss"),
        ({"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing"),
        ({"holdout": 0, "holdout_steps": 5}, "nothing is held out"),
        ({"loss": "hinge"}, "sigmoid_norm"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        dpo.Params(model="m", data="d", **given)


def test_nothing_is_dropped_unsaid(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    bad = {
        "same": ({**choices[0], "rejected": choices[0]["chosen"]}, "chosen and rejected are the same"),
        "empty": ({**choices[0], "rejected": " "}, "a reply is empty"),
        "none": ({**choices[0], "chosen": None}, "messages are malformed"),
        "no prompt": ({**choices[0], "prompt": None}, "messages are malformed"),
        "answered": (
            {**choices[0], "prompt": [*choices[0]["prompt"], {"role": "assistant", "content": "x"}]},
            "refused by the chat template",
        ),
        "long": ({**choices[0], "chosen": "x " * 300}, "longer than the sequence"),
    }
    rows = [*choices, *({**row, "id": name} for name, (row, _) in bad.items())]
    metrics = run(tiny, rows_of("d", Kind.PREFERENCES, rows), tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "dropped.parquet").to_pylist()
    assert {row["id"]: row["reason"] for row in table} == {name: reason for name, (_, reason) in bad.items()}
    assert (metrics["rows_in"], metrics["kept"], metrics["dropped"]) == (30, 24, 6)


def test_the_held_out_pairs_follow_their_ids(
    tiny: InputArtifact, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    one = run(tiny, rows_of("a", Kind.PREFERENCES, choices), tmp_path / "1")["before"]["holdout"]
    two = run(tiny, rows_of("b", Kind.PREFERENCES, choices[::-1]), tmp_path / "2")["before"]["holdout"]
    assert one == pytest.approx(two, abs=1e-4)
    assert (
        "holdout"
        not in run(tiny, rows_of("c", Kind.PREFERENCES, choices), tmp_path / "3", holdout=0)["after"]
    )
