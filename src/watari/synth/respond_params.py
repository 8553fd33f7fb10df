"""Parameters of `synth.respond`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from watari.artifact.params import RUNTIME, Conversations, Count, OneOrMore
from watari.endpoint.params import AskingParams, EndpointRef, ModelOrEndpoint
from watari.endpoint.settings import EndpointSampler

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
    sampler: EndpointSampler = Field(
        default=EndpointSampler(),
        description="sampling settings, laid over the endpoint's own or the model's generation_config.json",
    )
    longest_answer: Count = Field(
        default=4096,
        ge=16,
        description="tokens to which the limit of an answer that was cut off may be raised (doubled)",
    )
    send_seed: bool = Field(
        default=True, description="send a seed with every request; off for servers that refuse the field"
    )
    batch: Annotated[int, RUNTIME] = Field(
        default=64, ge=1, description="conversations that a model in this process answers at a time"
    )
    device: Annotated[str, RUNTIME] = Field(
        default="auto",
        description="torch device of such a model: cpu, cuda; auto: an accelerator if there is one",
    )
    check_workers: Annotated[int, RUNTIME] = Field(
        default=0, ge=0, description="processes for the checks; 0: in this process"
    )

    @model_validator(mode="after")
    def _judge_and_choice_agree(self) -> Params:
        if self.select == "judge" and self.judge is None:
            raise ValueError("judge: `select: judge` wants one")
        if self.judge is not None and self.select != "judge":
            raise ValueError("judge: it is only asked with `select: judge`")
        if self.select == "judge" and self.best_of < 2:
            raise ValueError("best_of: a judge needs at least 2 answers to compare")
        return self
