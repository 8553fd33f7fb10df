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
from watari.pretrained import load_model, load_tokenizer
from watari.train import dpo, repair

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
    for given in ({"neftune_alpha": 5.0}, {"z_loss": 1e-4}, {"alpha_ul": 0.0, "alpha_rf": 0.0}):
        with pytest.raises(ValidationError):
            repair.Params(model="m", data="d", **given)
    defaults = repair.Params(model="m", data="d")
    assert (defaults.alpha_ul, defaults.alpha_rf, defaults.lr, defaults.epochs) == (1.0, 0.1, 5e-6, 2)
