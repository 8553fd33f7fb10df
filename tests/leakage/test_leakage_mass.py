"""Wrong-script mass is what a plain softmax over the whole sequence gives, outside of leaks; the bias made of it works."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tiny_llama import make_folder
from watari.errors import UserError
from watari.generate.local import LocalModel
from watari.generate.masking import encode_reply
from watari.generate.sampler import Sampler
from watari.generate.templates import stored_template
from watari.generate.wrong_tokens import SCRIPTS, wrong_tokens
from watari.leakage import mass as module
from watari.leakage.bias import logit_bias, read_bias
from watari.leakage.mass import Mass, Response, script_mass

ASKED = [{"role": "user", "content": "What did she see?"}]
CLEAN = "The red ball was too high, so she asked her mother."
LEAKING = "The red ボール was too high."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(make_folder(tmp_path_factory.mktemp("m")), device="cpu")


def by_hand(model: LocalModel, response: str) -> torch.Tensor:
    """Return the probabilities of all tokens at each position of a response, [positions, tokens]."""
    conversation = [*ASKED, {"role": "assistant", "content": response}]
    encoded = encode_reply(model.tokenizer, conversation, stored_template(model.tokenizer))
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([encoded.ids])).logits[0]
    places = [place - 1 for place, asked in enumerate(encoded.assistant_mask) if asked]
    return torch.softmax(logits[places].double(), -1)


@pytest.mark.parametrize("block", [256, 7, 1])
def test_mass_is_that_of_a_plain_softmax(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    found = script_mass(model, [Response("r", ASKED, CLEAN)], "en", added_from=300)
    likely = by_hand(model, CLEAN).numpy()
    wrong = wrong_tokens(model.tokenizer, "en")
    assert found.positions == len(likely)
    assert found.mass == pytest.approx(float(likely[:, wrong.mask].sum(1).mean()), rel=1e-4)
    assert found.per_1000 == pytest.approx(1000 * likely[:, wrong.mask].sum() / len(CLEAN), rel=1e-4)
    assert found.notable == pytest.approx(float((likely[:, wrong.mask].sum(1) >= 0.01).mean()))
    for name, value in found.by_script.items():
        own = likely[:, wrong.script == SCRIPTS.index(name)].sum(1).mean()
        assert value == pytest.approx(float(own), rel=1e-4)
    assert sum(found.by_script.values()) == pytest.approx(found.mass, rel=1e-4)
    sums = np.where(wrong.mask, likely.sum(0), 0)
    assert found.tokens[0].id == int(sums.argmax())
    assert found.tokens[0].mass == pytest.approx(float(sums.max() / len(likely)), rel=1e-4)
    assert found.added == pytest.approx(float(sums[300:].sum() / sums.sum()), rel=1e-4)
    worst = likely[:, wrong.mask].sum(1).max()
    assert found.places[0].mass == pytest.approx(float(worst), rel=1e-4)
    assert CLEAN.startswith(found.places[0].before) or len(found.places[0].before) == 24
    json.dumps(found.as_json(), allow_nan=False)


def test_positions_inside_a_leak_do_not_count(model: LocalModel) -> None:
    found = script_mass(model, [Response("r", ASKED, LEAKING)], "en")
    pieces = model.tokenizer.convert_ids_to_tokens(model.tokenizer.encode("ボール", add_special_tokens=False))
    inside = len([piece for piece in pieces if piece != "▁"]) - 1
    assert inside > 0
    assert found.positions == len(by_hand(model, LEAKING)) - inside


def test_what_cannot_be_placed_is_counted(model: LocalModel) -> None:
    found = script_mass(model, [Response("r", ASKED, CLEAN * 30), Response("e", [], CLEAN)], "en")
    assert (found.skipped, found.responses, found.positions) == (1, 1, len(by_hand(model, CLEAN))) or (
        found.skipped == 2
    )
    nothing = script_mass(model, [], "en")
    assert (nothing.mass, nothing.tokens, nothing.positions) == (0.0, (), 0)


def measured(model: LocalModel) -> Mass:
    return script_mass(model, [Response("r", ASKED, CLEAN)], "en", added_from=300, most=500)


def test_a_bias_covers_what_leaks_most(model: LocalModel, tmp_path: Path) -> None:
    found = measured(model)
    half = logit_bias(found, share=0.5, added_only=False)
    assert 0 < len(half.bias) < len(logit_bias(found, share=1.0, added_only=False).bias)
    shares = {token.id: token.share for token in found.tokens}
    assert sum(shares[token] for token in half.bias) >= 0.5
    assert all(token >= 300 for token in logit_bias(found).bias)
    assert len(logit_bias(found, limit=3).bias) == 3
    half.write(tmp_path / "bias.json")
    body = json.loads((tmp_path / "bias.json").read_text("utf-8"))
    assert body == {"logit_bias": {str(token): -5.0 for token in sorted(half.bias)}}
    assert read_bias(tmp_path / "bias.json").bias == half.bias
    (tmp_path / "cpp.json").write_text("[[15, -1.5], [16, false]]")
    assert read_bias(tmp_path / "cpp.json").bias == {15: -1.5, 16: -100.0}
    assert read_bias(tmp_path / "cpp.json").for_local() == {15: -1.5, 16: -math.inf}
    for text in ("", "[]", "{}", '{"a": -1}', '{"1": true}', '{"1": -101}', "[[1]]", "7"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError):
            read_bias(tmp_path / "bad.json")
    for strength in (0.0, 1.0, -101.0):
        with pytest.raises(UserError):
            logit_bias(found, strength=strength)


def test_a_bias_is_applied_to_what_the_model_says(model: LocalModel) -> None:
    """-100 forbids: not one token of it in many draws; a weaker one makes them rarer; none changes nothing."""
    wrong = wrong_tokens(model.tokenizer, "en")
    sampler = Sampler(temperature=3.0, max_new_tokens=24)
    prompts = [ASKED] * 24

    def said(bias: dict[int, float] | None) -> float:
        answers = model.generate(prompts, sampler, logit_bias=bias)
        texts = "".join(answer.text for answer in answers)
        return sum(not char.isascii() and char.isalpha() for char in texts) / max(len(texts), 1)

    free = said(None)
    assert said({}) == free > 0.02
    everything = dict.fromkeys(np.flatnonzero(wrong.mask).tolist(), -math.inf)
    whole = [token for token, text in enumerate(wrong.text) if wrong.mask[token] and "⟨" not in text]
    answers = model.generate(prompts, sampler, logit_bias=everything)
    assert not any(wrong.text[token] in answer.text for token in whole for answer in answers)
    assert said(dict.fromkeys(everything, -5.0)) < free
    with pytest.raises(UserError, match="logit_bias: 99999"):
        model.generate(prompts, sampler, logit_bias={99999: -1.0})


def test_mass_under_a_bias_is_what_is_left_of_it(model: LocalModel) -> None:
    """Every wrong token made e² times as unlikely against the others; with -100 nothing is left."""
    given = [Response("r", ASKED, CLEAN)]
    wrong = np.flatnonzero(wrong_tokens(model.tokenizer, "en").mask).tolist()
    likely = by_hand(model, CLEAN)[:, wrong].sum(1)
    left = likely / (likely + (1 - likely) * float(np.exp(2)))
    found = script_mass(model, given, "en", logit_bias=dict.fromkeys(wrong, -2.0))
    assert found.mass == pytest.approx(float(left.mean()), rel=1e-4)
    assert script_mass(model, given, "en", logit_bias=dict.fromkeys(wrong, -100.0)).mass < 1e-30
