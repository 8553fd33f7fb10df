"""Parameters of `synth.respond`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from watari.artifact.params import Conversations, OneOrMore
from watari.endpoint.params import AskingParams, EndpointRef, ModelOrEndpoint
from watari.endpoint.settings import EndpointSampler
from watari.generate.answering_params import Batch, Device, LongestAnswer, Sampler, SendSeed
from watari.synth.checking_params import CheckWorkers

KIND = "synth.respond"


class Params(AskingParams):
    """Parameters of `synth.respond`."""

    data: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1, description="conversations whose human turns are kept"
    )
    model: ModelOrEndpoint = Field(
        description="who answers: an endpoint, or a stage that makes a chat model (it then runs in this process)"
    )
    turns: Literal["all", "last"] = Field(
        default="all",
        description="which answers are written anew: all, each after the new ones before it, or only the last (Swallow's"
        " v0.1 trains on the last alone; facts/seed-systems.md §3)",
    )
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="the language that answers must be in, or `any`; default: that of the row",
    )
    system: str | None = Field(
        default=None,
        description="the system message that every conversation gets in place of its own; '' takes it away. Default: its own"
        " stays",
    )
    instruct: str = Field(
        default="",
        description="a system message that is sent but does not stand in the row: how to answer (`Answer in Japanese.`)",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="times that an answer is asked for, each with another seed, until one passes",
    )
    best_of: int = Field(
        default=1,
        ge=1,
        le=16,
        description="answers asked for in each attempt, of which the best that passes is taken",
    )
    select: Literal["rules", "judge"] = Field(
        default="rules",
        description="how the best is told: by rules (fewest findings, then the middle length), or by `judge`, pair by pair",
    )
    judge: EndpointRef | None = Field(default=None, description="who compares, for `select: judge`")
    on_failure: Literal["drop", "keep"] = Field(
        default="drop",
        description="what becomes of a row of which an answer fails every attempt: dropped, or kept with its own answers",
    )
    sampler: Sampler = EndpointSampler()
    longest_answer: LongestAnswer = 4096
    send_seed: SendSeed = True
    batch: Batch = 64
    device: Device = "auto"
    check_workers: CheckWorkers = 0

    @model_validator(mode="after")
    def _judge_and_choice_agree(self) -> Params:
        if self.select == "judge" and self.judge is None:
            raise ValueError("judge: `select: judge` wants one")
        if self.judge is not None and self.select != "judge":
            raise ValueError("judge: it is only asked with `select: judge`")
        if self.select == "judge" and self.best_of < 2:
            raise ValueError("best_of: a judge needs at least 2 answers to compare")
        return self
