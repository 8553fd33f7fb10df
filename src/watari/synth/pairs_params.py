"""Parameters of `synth.pairs`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from watari.artifact.params import Conversations, OneOrMore
from watari.endpoint.params import AskingParams, EndpointRef, ModelOrEndpoint
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.generate.answering_params import Batch, Device, LongestAnswer, Sampler, SendSeed
from watari.synth.checking_params import CheckWorkers

KIND = "synth.pairs"


class LengthBalance(BaseModel):
    """Pairs whose two answers differ too much in length are dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    max_ratio: float | None = Field(
        default=None,
        gt=1,
        description="characters of the longer answer over those of the shorter at most; default: any, and the report tells"
        " whether length alone would predict which answer is chosen",
    )


class Params(AskingParams):
    """Parameters of `synth.pairs`: name `chosen` and `rejected`, or `models` whose best and worst answers become pairs."""

    prompts: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1, description="conversations; the pair answers the last turn of the user"
    )
    chosen: ModelOrEndpoint | None = Field(
        default=None,
        description="who gives the chosen answer (Shisa: gpt-4); with `rejected` alone it is the row's own last answer",
    )
    rejected: ModelOrEndpoint | None = Field(
        default=None, description="who gives the rejected answer (Shisa: the own model after its first stage)"
    )
    models: Annotated[list[ModelOrEndpoint], OneOrMore] = Field(
        default_factory=list, description="instead of both: who gives the candidates"
    )
    candidates: int = Field(
        default=4,
        ge=1,
        le=16,
        description="answers of each of `models`, of which the best and the worst make the pair",
    )
    by: Literal["judge", "rules"] | None = Field(
        default=None,
        description="how best and worst are told: by `judge`, each against each in both orders, or by rules: fewest and most"
        " findings. Default: by the judge if there is one",
    )
    judge: EndpointRef | None = Field(
        default=None,
        description="with `models`: who compares; with `chosen` and `rejected`: who must prefer the chosen answer in both"
        " orders. Default: nobody",
    )
    judge_form: Literal["brackets", "json"] = Field(
        default="brackets",
        description="how the verdict is asked for: [[A]] on the last line, or a JSON object",
    )
    ties: Literal["drop", "half"] = Field(
        default="half",
        description="what a tie, or a verdict that changes with the order, is to candidates: nothing, or half a point for"
        " each. Between `chosen` and `rejected` such a pair is always dropped",
    )
    min_points: float = Field(
        default=1.0, gt=0, description="points by which the best candidate is ahead of the worst at least"
    )
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="the language that answers must be in, or `any`; default: that of the row",
    )
    same_language: bool = Field(
        default=True, description="both answers are in the same language, told by their script"
    )
    rejected_checks: Literal["pass", "any"] | None = Field(
        default=None,
        description="pass: the rejected answer passes the checks as the chosen one must, so that the pair teaches more than"
        " to tell broken text. Default: pass; any with `by: rules`",
    )
    max_similarity: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Jaccard similarity of the answers' character 5-grams from which they are the same; 1: only equal ones",
    )
    length_balance: LengthBalance = Field(
        default=LengthBalance(), description="how far the answers' lengths may differ"
    )
    attempts: int = Field(
        default=2,
        ge=1,
        le=10,
        description="times that a side is asked for, each with another seed, until one passes",
    )
    system: str | None = Field(
        default=None,
        description="the system message that every prompt gets in place of its own; '' takes it away. Default: its own stays",
    )
    sampler: Sampler = EndpointSampler()
    rejected_sampler: EndpointSampler | None = Field(
        default=None, description="the same for the rejected side; default: `sampler`"
    )
    longest_answer: LongestAnswer = 4096
    send_seed: SendSeed = True
    batch: Batch = 64
    device: Device = "auto"
    check_workers: CheckWorkers = 0

    @model_validator(mode="after")
    def _one_way(self) -> Params:
        if self.models and (self.chosen is not None or self.rejected is not None):
            raise ValueError("models: name either these, or `chosen` and `rejected`")
        if not self.models and self.rejected is None:
            raise ValueError("rejected: name who gives the rejected answers, or `models`")
        if self.models:
            if len(self.models) * self.candidates < 2:
                raise ValueError("candidates: a pair needs at least 2 answers")
            if self.way == "judge" and self.judge is None:
                raise ValueError("judge: `by: judge` wants one; or write `by: rules`")
            if self.way == "rules" and self.judge is not None:
                raise ValueError("judge: it is not asked with `by: rules`")
            if self.way == "judge" and len(self.models) * self.candidates > 16:
                raise ValueError("candidates: more than 16 answers would be compared, each with each")
            if self.rejected_sampler is not None:
                raise ValueError("rejected_sampler: candidates have no sides; write `sampler`")
        elif self.by is not None:
            raise ValueError("by: only `models` have candidates to choose from")
        if self.way == "rules" and self.rejected_checks == "pass":
            raise ValueError(
                "rejected_checks: with `by: rules` the worst answer is the one that fails; write any"
            )
        return self

    @property
    def way(self) -> Literal["judge", "rules", ""]:
        """How candidates are told apart; empty where the sides are named."""
        if not self.models:
            return ""
        return self.by or ("judge" if self.judge is not None else "rules")

    @property
    def rejected_must_pass(self) -> bool:
        """Whether the rejected answer must pass the checks."""
        return (self.rejected_checks or ("any" if self.way == "rules" else "pass")) == "pass"

    @property
    def local(self) -> bool:
        """Whether any answer comes from a model in this process."""
        named = [self.chosen, self.rejected, *self.models]
        return any(one is not None and not isinstance(one, Endpoint) for one in named)
