"""A model behind an endpoint generates as a model in this process does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from raw_server import Got, Say, answer, serving_raw
from watari.endpoint.request import AskFailed
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.errors import UserError
from watari.generate.remote import EndpointModel, settings_for
from watari.generate.sampler import GREEDY, Sampler


def said(got: Got) -> Say:
    return Say(answer(f"re: {got.text}", "length" if "long" in got.text else "stop"))


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_answers_in_order_and_from_the_ledger_the_second_time(tmp_path: Path) -> None:
    with serving_raw(said) as server:
        model = EndpointModel(Endpoint(base_url=server.base_url, model="m"), tmp_path)
        prompts = [messages(f"prompt {i}") for i in range(50)] + [messages("long")]
        done: list[int] = []
        first = model.generate(
            prompts, Sampler(temperature=0.7, max_new_tokens=9), seed=3, on_batch=done.append
        )
        assert [one.text for one in first] == [f"re: prompt {i}" for i in range(50)] + ["re: long"]
        assert [one.finish_reason for one in first] == ["stop"] * 50 + ["length"]
        assert (first[0].prompt_tokens, first[0].completion_tokens) == (10, 5)
        assert json.loads(first[0].rendered_prompt) == messages("prompt 0")
        assert done[-1] == 51
        body = server.got[0].body
        assert (body["temperature"], body["max_tokens"]) == (0.7, 9)
        assert 0 <= body["seed"] < 2**31
        assert "top_p" not in body
        assert len({got.body["seed"] for got in server.got}) == 51
        again = model.generate(prompts, Sampler(temperature=0.7, max_new_tokens=9), seed=3)
        assert again == first
        assert len(server.got) == 51
        model.generate(prompts[:1], Sampler(temperature=0.7, max_new_tokens=9), seed=4)
        assert len(server.got) == 52


def test_equal_prompts_get_their_own_draws(tmp_path: Path) -> None:
    with serving_raw(said) as server:
        model = EndpointModel(Endpoint(base_url=server.base_url, model="m"), tmp_path)
        model.generate([messages("same")] * 5, Sampler())
        assert len({got.body["seed"] for got in server.got}) == 5


def test_within_a_running_loop(tmp_path: Path) -> None:
    async def run() -> str:
        return model.generate([messages("hello")], GREEDY)[0].text

    with serving_raw(said) as server:
        model = EndpointModel(Endpoint(base_url=server.base_url, model="m"), tmp_path)
        assert asyncio.run(run()) == "re: hello"


def test_a_failed_request_is_raised(tmp_path: Path) -> None:
    with serving_raw(lambda got: Say(b'{"message": "no"}', 400)) as server:
        model = EndpointModel(Endpoint(base_url=server.base_url, model="m"), tmp_path)
        with pytest.raises(AskFailed, match="refused by the server"):
            model.generate([messages("hello")], GREEDY)


def test_what_the_interface_cannot_take_is_refused(tmp_path: Path) -> None:
    model = EndpointModel(Endpoint(name="fast", base_url="http://127.0.0.1:9/v1", model="m"), tmp_path)
    with pytest.raises(UserError, match="prompt 2 is a text, but endpoint fast is asked by `api: chat`"):
        model.generate([messages("a"), "b"], GREEDY)


def test_samplers() -> None:
    local = Endpoint(base_url="http://127.0.0.1:8000/v1", model="m")
    openai = Endpoint(name="strong", base_url="https://api.openai.com/v1", model="m")
    assert settings_for(openai, GREEDY) == {"temperature": 0.0, "max_tokens": 512}
    full = Sampler(temperature=0.5, top_p=0.9, top_k=20, min_p=0.1, repetition_penalty=1.1, stop=("\n",))
    assert settings_for(local, full) == {
        "temperature": 0.5, "max_tokens": 512, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1,
        "stop": ["\n"],
    }  # fmt: skip
    for setting in ("top_k", "min_p", "repetition_penalty"):
        with pytest.raises(UserError, match=f"sampler: {setting}: endpoint strong"):
            settings_for(openai, Sampler().with_settings(**{setting: 2 if setting != "min_p" else 0.5}))
    # What the recipe set for the endpoint does not shine through.
    set_before = local.model_copy(update={"sampler": EndpointSampler(top_k=5, frequency_penalty=1.0)})
    assert settings_for(set_before, GREEDY)["top_k"] == 0
    assert settings_for(set_before, GREEDY)["frequency_penalty"] == 0.0
