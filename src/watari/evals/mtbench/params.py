"""Parameters of `eval.mtbench`."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from watari.artifact.params import Count, OutsidePath
from watari.endpoint.params import AskingParams
from watari.endpoint.settings import EndpointSampler
from watari.evals.params import ON_BOS, Chat, Judge, OnBos, check_one_limit, none_if_bundled
from watari.generate.answering_params import Batch, Device, Sampler, SendSeed

KIND = "eval.mtbench"
_DEFAULTS = {"ja": "nejumi-mt-bench-ja", "en": "fastchat-mt-bench"}


class Params(AskingParams):
    """Parameters of `eval.mtbench`."""

    model: Chat
    judge: Judge
    spec: str | None = Field(
        default=None,
        description="fastchat-mt-bench, stability-ja-mt-bench or nejumi-mt-bench-ja; default: by `language`, Nejumi's for ja"
        " (Swallow's setting), FastChat's for en",
    )
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{2,3}$",
        description="of the questions; decides the bundled set and our own judge prompts; default: that of the spec",
    )
    questions: OutsidePath | None = Field(
        default=None,
        description="rows {question_id, category, turns} as FastChat has them: a file or hub id; default: the bundled set,"
        " which is Watari's own (8 categories of 3 questions)",
    )
    references: OutsidePath | None = Field(
        default=None,
        description="reference answers to these questions, in FastChat's form; default: `reference` in the questions",
    )
    prompts: OutsidePath | None = Field(
        default=None,
        description="the judge's prompts: a judge_prompts.jsonl in FastChat's form; default: Watari's own, and the scores are"
        " then marked as such",
    )
    categories: list[str] = Field(default_factory=list, description="only these; default: all")
    limit: int | None = Field(
        default=None, ge=1, description="only the first so many questions of each category"
    )
    runs: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="answers to each question; all of them are judged (FastChat judges the first alone). Default: the spec's",
    )
    system: str | None = Field(
        default=None,
        description="a system message before each question (Shisa's Japanese setting has one); default: the spec's, mostly none",
    )
    max_tokens: Count | None = Field(
        default=None,
        ge=1,
        description="tokens of an answer at most; one that is cut off stays so, and is told. Default: the spec's",
    )
    on_bos: OnBos = Field(default="stop", description=ON_BOS)
    sampler: Sampler = EndpointSampler()
    reask: int = Field(
        default=0,
        ge=0,
        le=10,
        description="times that a judge whose rating cannot be read is asked again; each is recorded. Upstream: never",
    )
    send_seed: SendSeed = True
    batch: Batch = 64
    device: Device = "auto"

    _bundled_is_the_default = field_validator("questions", mode="before")(none_if_bundled)

    @model_validator(mode="after")
    def _spec_is_known(self) -> Params:
        if self.spec is None and self.language not in _DEFAULTS:
            raise ValueError("spec: name one, or give `language` (ja or en)")
        check_one_limit(self.sampler)
        return self

    @property
    def spec_name(self) -> str:
        """The spec that is meant."""
        return self.spec or _DEFAULTS[self.language or "en"]
