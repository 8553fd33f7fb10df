"""Parameters of `eval.shaberi`."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from watari.artifact.params import Count, OutsidePath
from watari.endpoint.params import AskingParams
from watari.endpoint.settings import EndpointSampler
from watari.evals.params import Chat, Judge, OnBos, check_one_limit, none_if_bundled
from watari.generate.answering_params import Batch, Device, Sampler, SendSeed

KIND = "eval.shaberi"
SPEC = "shaberi"


class Params(AskingParams):
    """Parameters of `eval.shaberi`."""

    model: Chat
    judge: Judge
    questions: OutsidePath | None = Field(
        default=None,
        description="a file, a folder of files named after the benchmarks, or a hub id; rows {question, category?,"
        " reference?, criteria?, dataset?} or the benchmarks' published forms; default: the first turns of Watari's own"
        " Japanese questions",
    )
    dataset: str | None = Field(
        default=None,
        description="the benchmark of rows that do not say it: ELYZA 100, JA-MT, Rakuda, Tengu or its hub id; default: the"
        " file's name if it is one, else questions of one's own, rated from 1 to 10",
    )
    prompts: OutsidePath | None = Field(
        default=None,
        description="the judge's prompts: YAML or JSON {system?, datasets: {name: prompt}, default?, second?}; default:"
        " Watari's own, and the scores are then marked as such",
    )
    limit: int | None = Field(
        default=None, ge=1, description="only the first so many questions of each benchmark"
    )
    runs: int = Field(
        default=1, ge=1, le=100, description="answers to each question; all of them are judged. Upstream: 1"
    )
    system: str = Field(
        default="",
        description="a system message before each question; upstream sends one, which is not copied here",
    )
    max_tokens: Count | None = Field(
        default=None, ge=1, description="tokens of an answer at most; default: the spec's"
    )
    second_call: bool = Field(
        default=True,
        description="ask the judge once more, for the number alone, where its text holds no rating (as upstream since"
        " 2025-11; what was asked and said is kept)",
    )
    on_bos: OnBos = Field(
        default="stop",
        description="what a prompt that loses or doubles its BOS does: stops the evaluation before it begins, or is told",
    )
    sampler: Sampler = EndpointSampler()
    send_seed: SendSeed = True
    batch: Batch = 64
    device: Device = "auto"

    _bundled_is_the_default = field_validator("questions", mode="before")(none_if_bundled)

    @model_validator(mode="after")
    def _one_limit(self) -> Params:
        check_one_limit(self.sampler)
        return self
