"""LocalModel: batch = single = transformers' generate, whole characters, ends, BOS, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_llama import TEMPLATE, make_folder
from watari.errors import UserError
from watari.generate.incremental import Detokenizer, StopText
from watari.generate.local import LocalModel, Prompt
from watari.generate.sampler import GREEDY, SHISA_CARD

torch.set_num_threads(1)

PROMPTS: list[Prompt] = [
    "Once upon a time",
    "Hi",
    [{"role": "user", "content": "猫は赤い?"}],
    [{"role": "system", "content": "Be short."}, {"role": "user", "content": "How are you, and who?"}],
    "The red ball was too high, so she asked her mother for help",
    "",
]
SHORT = GREEDY.with_settings(max_new_tokens=24)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(make_folder(tmp_path_factory.mktemp("local"), seed=3), device="cpu")


def test_batch_is_single_is_stream(model: LocalModel) -> None:
    together = model.generate(PROMPTS, SHORT)
    assert together == [model.generate([prompt], SHORT)[0] for prompt in PROMPTS]
    assert together == model.generate(PROMPTS, SHORT, batch_size=2)
    assert [r.text for r in together] == ["".join(model.stream(p, SHORT)) for p in PROMPTS]
    assert len({r.text for r in together}) == len(PROMPTS)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_is_transformers_generate(model: LocalModel, penalty: float) -> None:
    sampler = SHORT.with_settings(repetition_penalty=penalty)
    for prompt, response in zip(PROMPTS, model.generate(PROMPTS, sampler), strict=True):
        ids = torch.tensor([model.encode(prompt).ids])
        config = sampler.to_generation_config(eos_token_id=2, pad_token_id=0)
        expected = model.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        new = expected[0, ids.shape[1] :].tolist()
        detokenizer = Detokenizer(model.tokenizer, strip_first_space=model.encode(prompt).strip)
        body = [token for token in new if token != 2]
        assert response.text == "".join(map(detokenizer.push, body)) + detokenizer.flush()
        assert response.completion_tokens == len(new)


def test_the_same_seed_gives_the_same_answer_in_any_batch(model: LocalModel) -> None:
    sampler = SHISA_CARD.with_settings(max_new_tokens=24)
    together = [r.text for r in model.generate(PROMPTS, sampler, seed=5)]
    assert together == ["".join(model.stream(prompt, sampler, seed=5)) for prompt in PROMPTS]
    assert together == [r.text for r in model.generate(PROMPTS[::-1], sampler, seed=5, batch_size=4)][::-1]
    assert together != [r.text for r in model.generate(PROMPTS, sampler, seed=6)]


def test_equal_prompts_get_draws_of_their_own(model: LocalModel) -> None:
    sampler = SHISA_CARD.with_settings(max_new_tokens=24)
    first, second = model.generate(["Once", "Once"], sampler)
    assert first.text != second.text
    assert "".join(model.stream("Once", sampler, attempt=1)) == second.text
    by_id = model.generate(["Once", "Once"], sampler, ids=["x", "x"])
    assert by_id[0] == by_id[1]


def test_bos_stands_once(model: LocalModel) -> None:
    for prompt in PROMPTS:
        ids = model.encode(prompt).ids
        assert ids[0] == 1
        assert ids.count(1) == 1


def test_a_tokenizer_that_adds_eos_does_not_end_the_prompt(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    state = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    state["post_processor"]["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
    state["post_processor"]["special_tokens"]["</s>"] = {"id": "</s>", "ids": [2], "tokens": ["</s>"]}
    (folder / "tokenizer.json").write_text(json.dumps(state), "utf-8")
    model = LocalModel(folder, device="cpu")
    assert model.tokenizer.encode("Hi")[-1] == 2
    assert model.encode("Hi").ids[-1] != 2


def scripted(model: LocalModel, monkeypatch: pytest.MonkeyPatch, tokens: list[int]) -> None:
    """Make the model say these tokens, whatever it is asked."""
    steps = iter(tokens)

    def forward(inputs: torch.Tensor, *_: Any) -> torch.Tensor:
        logits = torch.zeros(inputs.shape[0], 420)
        logits[:, next(steps)] = 1.0
        return logits

    monkeypatch.setattr(model, "_forward", forward)


def test_eos_ends_the_answer_and_is_not_text(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = model.tokenizer.encode("Hello ball", add_special_tokens=False)
    scripted(model, monkeypatch, [*tokens, 2, 9, 9])
    (response,) = model.generate([[{"role": "user", "content": "Hi"}]], SHORT)
    assert response.text == "Hello ball"
    assert response.finish_reason == "stop"
    assert response.completion_tokens == len(tokens) + 1
    assert response.rendered_prompt == "<s>### User: Hi\n### Assistant:"


def test_the_limit_is_told(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(model, monkeypatch, model.tokenizer.encode("Hello ball", add_special_tokens=False) * 9)
    (response,) = model.generate(["Hi"], GREEDY.with_settings(max_new_tokens=3))
    assert (response.finish_reason, response.completion_tokens) == ("length", 3)


@pytest.mark.parametrize("stop", ["### User", "User:", ":"])
def test_a_stop_text_ends_the_answer(model: LocalModel, monkeypatch: pytest.MonkeyPatch, stop: str) -> None:
    said = "I am ### fine\n### User: more"
    tokens = model.tokenizer.encode(said, add_special_tokens=False)
    scripted(model, monkeypatch, tokens)
    pieces = list(model.stream([{"role": "user", "content": "?"}], SHORT.with_settings(stop=(stop,))))
    assert "".join(pieces) == said[: said.index(stop)].rstrip()
    scripted(model, monkeypatch, tokens)
    (response,) = model.generate(["?"], SHORT.with_settings(stop=(stop,)))
    assert response.finish_reason == "stop"
    assert stop not in response.text


def test_blanks_at_the_end_of_a_chats_answer_are_the_templates(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [*model.tokenizer.encode("Hello ball  ", add_special_tokens=False), 2]
    scripted(model, monkeypatch, tokens)
    question: list[Prompt] = [[{"role": "user", "content": "Hi"}]]
    assert model.generate(question, SHORT)[0].text == "Hello ball"
    scripted(model, monkeypatch, tokens)
    assert "".join(model.stream(question[0], SHORT)) == "Hello ball"
    scripted(model, monkeypatch, tokens)
    assert model.generate(["Hi"], SHORT)[0].text == " Hello ball  "


def test_a_continuation_keeps_its_space(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = model.tokenizer.encode("ball", add_special_tokens=False)
    scripted(model, monkeypatch, [*tokens, 2])
    assert model.generate(["The red"], SHORT)[0].text == " ball"
    scripted(model, monkeypatch, [*tokens, 2])
    assert model.generate([""], SHORT)[0].text == "ball"


def test_a_stream_never_gives_half_a_character(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "猫とXYZ😀と赤いボール"
    tokens = model.tokenizer.encode(said, add_special_tokens=False)
    assert len(tokens) > len(said)  # byte fallback is at work
    scripted(model, monkeypatch, [*tokens, 2])
    pieces = list(model.stream("?", SHORT.with_settings(max_new_tokens=99)))
    assert "".join(pieces).strip() == said
    assert len(pieces) > 5
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_broken_character_at_the_end_is_shown(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(model, monkeypatch, [3 + 0xE7, 3 + 0x8C, 2])
    assert model.generate(["?"], SHORT)[0].text == "\ufffd\ufffd"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 419), max_size=25))
def test_any_tokens_stream_to_one_text(model: LocalModel, tokens: list[int]) -> None:
    detokenizer = Detokenizer(model.tokenizer, strip_first_space=False)
    pieces = [detokenizer.push(token) for token in tokens]
    text = "".join(pieces) + detokenizer.flush()
    plain = [token for token in tokens if token > 2]
    if all(token > 258 for token in plain):
        (head,) = model.tokenizer.encode("a", add_special_tokens=False)
        assert "a" + text.lstrip(" ") == "a" + model.tokenizer.decode([head, *plain])[1:].lstrip(" ")
    again = Detokenizer(model.tokenizer, strip_first_space=False)
    assert text == "".join(again.push(t) for t in tokens) + again.flush()
    assert "<0x" not in text.replace("<0", "", 1) or any(token < 259 for token in tokens)


@settings(max_examples=200, deadline=None)
@given(st.text("ab#", max_size=20), st.lists(st.text("ab#", min_size=1, max_size=4), max_size=3), st.data())
def test_stop_texts_are_found_however_the_text_is_cut(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    watcher = StopText(stops)
    out, place = "", 0
    while place < len(text) and not watcher.found:
        length = data.draw(st.integers(1, 3))
        out += watcher.push(text[place : place + length])
        place += length
        assert not any(stop in out for stop in stops)
    out += watcher.flush()
    hits = [text.index(stop) for stop in stops if stop in text]
    assert watcher.found == bool(hits)
    # A stop text that ends first wins; nothing of it is shown.
    assert text.startswith(out)
    assert not any(stop in out for stop in stops)
    if not hits:
        assert out == text


def test_a_prompt_without_room_is_refused_before_anything_runs(model: LocalModel) -> None:
    done: list[int] = []
    with pytest.raises(UserError, match=r"prompt 2 has .* tokens.*context of 256"):
        model.generate(["Hi", "ball " * 400], SHORT, on_batch=done.append)
    assert not done


def test_the_context_limits_the_answer(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "赤いボール" * 30
    room = 256 - len(model.encode(prompt).ids)
    assert 0 < room < 200
    scripted(model, monkeypatch, [300] * 300)
    (response,) = model.generate([prompt], GREEDY)
    assert (response.completion_tokens, response.finish_reason) == (room, "length")


def test_messages_need_a_template(tmp_path: Path) -> None:
    base = LocalModel(make_folder(tmp_path, template=None), device="cpu")
    assert not base.chats
    with pytest.raises(UserError, match="no chat template"):
        base.generate([[{"role": "user", "content": "Hi"}]], SHORT)
    assert base.generate(["Hi"], SHORT)[0].completion_tokens > 0


def test_a_refusing_template_is_told(tmp_path: Path) -> None:
    template = "{% if messages|length > 1 %}{{ raise_exception('only one turn') }}{% endif %}" + TEMPLATE
    chat = LocalModel(make_folder(tmp_path, template=template), device="cpu")
    with pytest.raises(UserError, match="only one turn"):
        chat.generate([[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]], SHORT)


def test_progress_is_told_after_each_batch(model: LocalModel) -> None:
    done: list[int] = []
    model.generate(
        ["a", "b", "c"], GREEDY.with_settings(max_new_tokens=1), batch_size=2, on_batch=done.append
    )
    assert done == [2, 3]
