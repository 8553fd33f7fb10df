"""vLLM offline, against a stand-in with vLLM's signatures: vLLM itself needs a card and is not installed here."""

import asyncio
import sys
import types
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from watari.artifact.stage import Silent
from watari.endpoint import offline
from watari.endpoint.asking import open_asking
from watari.endpoint.ledger import open_ledger
from watari.endpoint.params import AskingParams
from watari.endpoint.request import AskFailed, Request
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.errors import StageFailed, UserError


@dataclass
class SamplingParams:
    n: int = 1
    temperature: float = 1.0
    seed: int | None = None
    stop: object = None
    max_tokens: int | None = 16
    logprobs: int | None = None


@dataclass
class Logprob:
    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list
    cumulative_logprob: float | None = None
    logprobs: list | None = None
    finish_reason: str | None = "stop"
    stop_reason: object = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list | None
    outputs: list = field(default_factory=list)


class LLM:
    made: ClassVar[list] = []
    calls: ClassVar[list] = []

    def __init__(self, model, **arguments):
        LLM.made.append((model, arguments))

    def chat(self, messages, sampling_params=None, use_tqdm=True, *, chat_template_kwargs=None):
        LLM.calls.append(len(messages))
        texts = [conversation[-1]["content"] for conversation in messages]
        if any(text == "crash" for text in texts):
            raise RuntimeError("CUDA error: out of memory")
        if any(len(text) > 50 for text in texts):
            raise ValueError("The decoder prompt (length 60) is longer than the maximum model length of 50.")
        return [self.output(text, params) for text, params in zip(texts, sampling_params, strict=True)]

    def output(self, text, params):
        probable = [{7: Logprob(-0.1, 1, "x"), 8: Logprob(-3.0, 2, "y")}] if params.logprobs else None
        outputs = [
            CompletionOutput(i, f"{text.upper()} {params.max_tokens}", [7], logprobs=probable)
            for i in range(params.n)
        ]
        return RequestOutput("0", text, list(text), outputs)


@pytest.fixture
def vllm(monkeypatch):
    LLM.made, LLM.calls = [], []
    monkeypatch.setitem(sys.modules, "vllm", types.SimpleNamespace(LLM=LLM, SamplingParams=SamplingParams))
    monkeypatch.setattr(offline, "CHUNK", 8)
    monkeypatch.setattr(offline, "_QUIET", 0.05)


def run(place, texts, endpoint=None, **changed):
    endpoint = endpoint or Endpoint(
        base_url="http://localhost/v1",
        model="/models/x",
        backend="vllm",
        name="local",
        extra_body={"engine": {"dtype": "auto"}},
    )
    params = AskingParams(ledger=str(place), label="translated")

    async def main():
        async with open_asking(params, Silent()) as asking:
            found = await asyncio.gather(
                *(
                    asking.ask(endpoint, Request(f"u{text}", [{"role": "user", "content": text}], **changed))
                    for text in texts
                ),
                return_exceptions=True,
            )
            return found, asking.spending()

    return asyncio.run(main())


def test_chunks_fill_the_ledger(vllm, tmp_path):
    texts = [f"w{i}" for i in range(20)]
    answers, spending = run(tmp_path, texts, logprobs=2, n=2)
    assert [one.text for one in answers] == [f"{text.upper()} None" for text in texts]
    assert len(answers[0].choices) == 2
    assert answers[0].choices[0].logprobs["content"][0]["top_logprobs"][1] == {"token": "y", "logprob": -3.0}
    assert (answers[0].prompt_tokens, answers[0].completion_tokens) == (2, 2)
    assert LLM.made == [("/models/x", {"dtype": "auto"})]
    assert LLM.calls == [8, 8, 4]
    assert spending["local"]["answered"] == 20
    again, _ = run(tmp_path, texts, logprobs=2, n=2)
    assert [one.text for one in again] == [one.text for one in answers]
    assert len(LLM.calls) == 3, "nothing is asked twice"


def test_one_that_is_too_long_does_not_fail_its_chunk(vllm, tmp_path):
    answers, _ = run(tmp_path, ["a", "b" * 60, "c"])
    assert [one.text for one in (answers[0], answers[2])] == ["A None", "C None"]
    assert isinstance(answers[1], AskFailed)
    assert answers[1].code == "context too long"
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.rows("SELECT status, count(*) FROM attempt GROUP BY status ORDER BY status") == [
            ("answered", 2), ("refused by the server", 1)
        ]  # fmt: skip


def test_a_crash_keeps_the_chunks_before_it(vllm, tmp_path):
    answers, _ = run(tmp_path, [*(f"w{i}" for i in range(8)), "crash", "later"])
    assert [one.text for one in answers[:8]] == [f"W{i} None" for i in range(8)]
    assert isinstance(answers[8], StageFailed)
    assert "out of memory" in answers[8].message
    with open_ledger(tmp_path, readonly=True) as ledger:
        assert ledger.spent().requests == 8


def test_what_vllm_cannot_do_is_refused(vllm, tmp_path, monkeypatch):
    given = {"base_url": "http://localhost/v1", "model": "m", "backend": "vllm"}
    (refused,), _ = run(tmp_path, ["a"], Endpoint(**given, extra_body={"response_format": {}}))
    assert isinstance(refused, UserError)
    assert "response_format" in refused.message
    monkeypatch.setitem(sys.modules, "vllm", None)
    (missing,), _ = run(tmp_path, ["a"], Endpoint(**given, sampler=EndpointSampler(max_tokens=5)))
    assert isinstance(missing, UserError)
    assert "needs vLLM" in missing.message
