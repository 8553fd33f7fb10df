"""train.repair: leaks become unlikely and mends likely, only there, and the loss is what plain transformers gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.errors import UserError
from watari.generate.masking import encode_reply
from watari.generate.wrong_tokens import wrong_tokens
from watari.pretrained import load_model, load_tokenizer
from watari.train import dpo, repair
from watari.train.script_rows import ReplyPass, Wrong

Rows = Callable[..., InputArtifact]
FAST: dict[str, Any] = {
    "batch": 8,
    "sequence": 256,
    "threads": 1,
    "precision": "fp32",
    "lr": 3e-3,
    "holdout": 0.25,
}


def run(tiny: InputArtifact, data: InputArtifact, out: Path, **given: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    evaluate = given.pop("evaluate", None)
    params = repair.Params(
        model="base",
        data=[data.selection],
        **{**FAST, **given},
        **({"evaluate": [evaluate.selection]} if evaluate else {}),
    )
    inputs = {"model": [tiny], "data": [data], **({"evaluate": [evaluate]} if evaluate else {})}
    return repair.run(params, Inputs(inputs), out, Silent()).metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "train_log.jsonl").read_text("utf-8").splitlines()]


def test_leaks_become_unlikely_and_mends_likely(
    tiny: InputArtifact, rows_of: Rows, leaks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A model that has learnt to leak is taken back; held-out rows follow, and other text is measured."""
    taught = [
        {**row, "chosen": row["rejected"], "rejected": row["chosen"], "spans": spans(row)} for row in leaks
    ]
    learnt = run(
        tiny,
        rows_of("t", Kind.PREFERENCES, taught),
        tmp_path / "leaky",
        epochs=12,
        lr=1e-2,
        alpha_ul=0.0,
        alpha_rf=1.0,
        alpha_script=0.0,
        alpha_hold=0.0,
    )
    assert learnt["after"]["holdout"]["p_good"] > 0.5
    from made_artifacts import as_input

    leaky = as_input("leaky", tmp_path / "leaky", Kind.MODEL)
    texts = [{"id": "e", "text": leaks[0]["chosen"] * 3, "language": "en", "source": "made"}]
    found = run(
        leaky,
        rows_of("d", Kind.PREFERENCES, leaks),
        tmp_path / "out",
        epochs=8,
        lr=2e-3,
        alpha_ul=1.0,
        alpha_rf=0.1,
        alpha_script=0.0,
        alpha_hold=0.0,
        evaluate=rows_of("e", Kind.DOCUMENTS, texts),
    )
    for part in ("train", "holdout"):
        before, after = found["before"][part], found["after"][part]
        assert before["first_p_bad"] > 0.5
        assert after["first_p_bad"] < 0.1
        assert after["p_bad"] < before["p_bad"]
        assert after["leak_logprob"] < before["leak_logprob"] - 2
        assert after["first_p_good"] > before["first_p_good"]
        assert after["mended"] > before["mended"]
    lines = log(tmp_path / "out")
    assert lines[0]["p_bad"] > lines[-1]["p_bad"]
    assert "en" in found["bits_per_character"]
    assert found["rows_in"] == found["kept"] == 24
    assert (tmp_path / "out" / "model.safetensors").is_file()


def spans(row: dict[str, Any]) -> str:
    """Return the spans of a row turned round: what leaks in it is `chosen`."""
    (start, stop), tail = json.loads(row["spans"])["rejected"][0], 0
    tail = len(row["rejected"]) - stop
    return json.dumps(
        {"chosen": [[start, stop]], "rejected": [[max(0, start - 1), len(row["chosen"]) - tail]]}
    )


@pytest.mark.parametrize(("pass_tokens", "share"), [(10_000, True), (10_000, False), (1, True)])
def test_the_first_loss_is_transformers_own(
    tiny: InputArtifact,
    rows_of: Rows,
    leaks: list[dict[str, Any]],
    tmp_path: Path,
    pass_tokens: int,
    share: bool,
) -> None:
    """One step over all rows: loss, p and the norm of the gradient from whole replies, padded by nothing."""
    rows = leaks[:6]
    data = rows_of("d", Kind.PREFERENCES, rows)
    run(
        tiny,
        data,
        tmp_path / "out",
        holdout=0,
        epochs=1,
        pass_tokens=pass_tokens,
        share_prompts=share,
        alpha_ul=2.0,
        alpha_rf=0.5,
        alpha_script=0.0,
        alpha_hold=0.0,
    )
    (line,) = log(tmp_path / "out")
    tokenizer, model = load_tokenizer(tiny.path), load_model(tiny.path)
    logs: dict[str, list[torch.Tensor]] = {"chosen": [], "rejected": []}
    for row in rows:
        ids = {
            side: encode_reply(
                tokenizer,
                [*row["prompt"], {"role": "assistant", "content": row[side]}],
                tokenizer.chat_template,
            ).ids
            for side in logs
        }
        pairs = list(zip(*ids.values(), strict=False))
        common = next(place for place, (one, two) in enumerate(pairs) if one != two)
        backwards = zip(*(own[::-1] for own in ids.values()), strict=False)
        after = next(place for place, (one, two) in enumerate(backwards) if one != two)
        for side, own in ids.items():
            # No token straddles a leak's border here, but a mend may take in the blank before it, which then stands
            # apart before the leak. Where nothing stands in place of a leak, what follows it is to come.
            wanted = list(range(common, max(len(own) - after, common + 1)))
            if tokenizer.convert_ids_to_tokens(own[common]) == "▁":
                assert side == "rejected"
                del wanted[0]
            scores = torch.log_softmax(model(input_ids=torch.tensor([own])).logits[0].double(), -1)
            logs[side].append(torch.stack([scores[place - 1, own[place]] for place in wanted]))
    bad, good = torch.cat(logs["rejected"]), torch.cat(logs["chosen"])
    loss = 2.0 * -torch.log1p(-bad.exp()).mean() + 0.5 * -good.mean()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert line["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert line["p_bad"] == pytest.approx(float(bad.exp().mean().detach()), rel=1e-3)
    assert line["p_good"] == pytest.approx(float(good.exp().mean().detach()), rel=1e-3)
    assert line["grad_norm"] == pytest.approx(float(norm), rel=1e-3)


def test_all_tokens_of_wrong_scripts_become_unlikely_and_the_rest_stays(
    tiny: InputArtifact, rows_of: Rows, leaks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Also on held-out rows, and tokens that no row leaks; without the hold more of the rest is lost."""
    data = rows_of("d", Kind.PREFERENCES, leaks)
    alone = {"alpha_ul": 0.0, "alpha_rf": 0.0, "epochs": 6, "lr": 2e-3}
    found = {
        hold: run(tiny, data, tmp_path / f"hold {hold}", alpha_hold=hold, **alone) for hold in (0.0, 1.0)
    }
    for metrics in found.values():
        for part in ("train", "holdout"):
            before, after = metrics["before"][part], metrics["after"][part]
            assert before["wrong_mass"] > 0.1
            assert after["wrong_mass"] < before["wrong_mass"] / 2
            assert before["drift"] < 1e-6
    assert found[1.0]["after"]["holdout"]["drift"] < 0.7 * found[0.0]["after"]["holdout"]["drift"]
    lines = log(tmp_path / "hold 1.0")
    assert lines[0]["drift"] < 1e-6
    assert "p_bad" not in lines[0]


def test_the_first_script_loss_is_transformers_own(
    tiny: InputArtifact, rows_of: Rows, leaks: list[dict[str, Any]], tmp_path: Path
) -> None:
    """In several passes as in one: -log(1 - M) over all tokens of the mended replies, what they hold left out."""
    rows = [*leaks[:5], {**leaks[5], "language": "und"}]
    alone = {"alpha_ul": 0.0, "alpha_rf": 0.0, "alpha_script": 2.0, "holdout": 0, "epochs": 1}
    data = rows_of("d", Kind.PREFERENCES, rows)
    metrics = run(tiny, data, tmp_path / "out", pass_tokens=1, **alone)
    (line,) = log(tmp_path / "out")
    tokenizer, model = load_tokenizer(tiny.path), load_model(tiny.path)
    wrong = torch.from_numpy(wrong_tokens(tokenizer, "en").mask)
    masses = []
    for row in rows[:5]:
        talk = [*row["prompt"], {"role": "assistant", "content": row["chosen"]}]
        encoded = encode_reply(tokenizer, talk, tokenizer.chat_template)
        asked = torch.tensor(encoded.assistant_mask)[1:]
        said = torch.softmax(model(input_ids=torch.tensor([encoded.ids])).logits[0, :-1].double(), -1)
        mask = wrong.clone()
        mask[encoded.ids] = False
        masses.append(said[asked][:, : len(mask)][:, mask].sum(-1))
    mass = torch.cat(masses)
    loss = -2.0 * torch.log1p(-mass).mean()
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert line["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert line["wrong_mass"] == pytest.approx(float(mass.mean().detach()), rel=1e-4)
    assert line["grad_norm"] == pytest.approx(float(norm), rel=1e-3)
    assert metrics["before"]["train"]["tokens"] == len(mass)
    assert metrics["before"]["train"]["replies"] == 5


def test_what_the_prompt_or_the_reply_holds_is_right_there(
    tiny: InputArtifact, leaks: list[dict[str, Any]]
) -> None:
    tokenizer = load_tokenizer(tiny.path)
    wrong = Wrong(tokenizer)
    talk = [{"role": "user", "content": "女の子?"}, {"role": "assistant", "content": "girl"}]
    encoded = encode_reply(tokenizer, talk, tokenizer.chat_template)
    reply = wrong.reply("a", encoded, "en", ["女"], 256)
    assert reply is not None
    held = set(encoded.ids)
    assert reply.allowed.tolist() == sorted(id for id in held if reply.wrong[id])
    assert len(reply.allowed)
    table = ReplyPass((reply,)).wrong(len(tokenizer) + 7)
    assert not table[0, encoded.ids].any()
    assert not table[0, len(tokenizer) :].any()
    assert int(table.sum()) == int(reply.wrong.sum()) - len(reply.allowed)
    # Latin letters are wrong in Japanese where they leaked.
    japanese = [wrong.reply("a", encoded, "ja", [leak], 256) for leak in ("word", "слово")]
    latin = [
        index for index, text in enumerate(wrong_tokens(tokenizer, "ja").text) if text.strip("▁ ") == "a"
    ]
    assert [[bool(one.wrong[index]) for index in latin] for one in japanese if one is not None] == [
        [True] * len(latin),
        [False] * len(latin),
    ]
    assert latin
    assert wrong.reply("a", encoded, "", ["女"], 256) is None
    first = encoded.assistant_mask.index(True)
    assert wrong.reply("a", encoded, "en", ["女"], first) is None


def test_plain_dpo_takes_the_same_rows(
    tiny: InputArtifact, rows_of: Rows, leaks: list[dict[str, Any]], tmp_path: Path
) -> None:
    data = rows_of("d", Kind.PREFERENCES, leaks)
    (tmp_path / "out").mkdir()
    params = dpo.Params(model="m", data="d", threads=1, sequence=256, batch=8, lr=1e-4)
    metrics = dpo.run(params, Inputs({"model": [tiny], "data": [data]}), tmp_path / "out", Silent()).metrics
    assert metrics["kept"] == 24


def test_rows_that_cannot_be_used_are_in_the_ledger(
    tiny: InputArtifact, rows_of: Rows, leaks: list[dict[str, Any]], tmp_path: Path
) -> None:
    good = leaks[0]
    given = {
        "fine": {},
        "bare": {"spans": json.dumps(json.loads(good["spans"])["rejected"])},
        "none": {"spans": None},
        "no list": {"spans": '{"chosen": [[0, 1]]}'},
        "torn": {"spans": '{"rejected": [[0, '},
        "beyond": {"spans": '{"rejected": [[0, 9999]]}'},
        "backwards": {"spans": '{"rejected": [[5, 2]]}'},
        "truth": {"spans": '{"rejected": [[true, 2]]}'},
        "empty": {"spans": '{"rejected": [[3, 3]]}'},
        "other": {"spans": '{"rejected": [[3, 4]], "bad": 1}'},
        "shared": {"spans": '{"rejected": [[0, 2]], "chosen": [[0, 2]]}'},
        "same": {"chosen": good["rejected"]},
        "long": {"prompt": [{"role": "user", "content": "play " * 300}]},
        "no prompt": {"prompt": None},
    }
    rows = [{**good, "id": name, **changed} for name, changed in given.items()]
    metrics = run(tiny, rows_of("d", Kind.PREFERENCES, rows), tmp_path / "out", holdout=0, epochs=1)
    assert metrics["kept"] == 2
    dropped = {
        row["id"]: row["reason"] for row in pq.read_table(tmp_path / "out" / "dropped.parquet").to_pylist()
    }
    assert dropped.keys() == given.keys() - {"fine", "bare"}
    assert dropped["none"] == dropped["no list"] == "no span of the leak is given"
    for name in ("torn", "beyond", "backwards", "truth", "empty", "other"):
        assert dropped[name] == "spans are malformed"
    assert dropped["shared"] == "the replies share all tokens of the spans"
    assert dropped["long"] == "longer than the sequence"
    with pytest.raises(UserError, match="none of 1 rows can be trained on"):
        run(tiny, rows_of("n", Kind.PREFERENCES, [rows[2]]), tmp_path / "none")


def test_parameters_that_make_no_sense_are_refused() -> None:
    for given in (
        {"neftune_alpha": 5.0},
        {"z_loss": 1e-4},
        {"alpha_ul": 0.0, "alpha_rf": 0.0, "alpha_script": 0.0},
    ):
        with pytest.raises(ValidationError):
            repair.Params(model="m", data="d", **given)
    defaults = repair.Params(model="m", data="d")
    assert (defaults.alpha_script, defaults.alpha_hold, defaults.alpha_ul, defaults.alpha_rf) == (
        1.0,
        1.0,
        0.0,
        0.0,
    )
    assert (defaults.lr, defaults.epochs) == (5e-6, 8)
