"""Parameters of `eval.jaster`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from watari.artifact.params import Count, OutsidePath
from watari.endpoint.params import AskingParams, ModelOrEndpoint
from watari.endpoint.settings import Endpoint, EndpointSampler
from watari.evals.params import ON_BOS, OnBos, check_one_limit, is_bundled
from watari.generate.answering_params import Batch, Device, Sampler

KIND = "eval.jaster"


class Params(AskingParams):
    """Parameters of `eval.jaster`."""

    model: ModelOrEndpoint = Field(
        description="who is examined: an endpoint, or a stage that makes a model (it then runs in this process)"
    )
    spec: str = Field(
        default="llm-jp-eval-1.0",
        description="llm-jp-eval-1.0 (Shisa's AVR table) or llm-jp-eval-1.3: datasets, prompt, post-processing, metrics",
    )
    questions: list[OutsidePath] = Field(
        default_factory=list,
        description="datasets: published files or folders (JGLUE, NIILC, JEMHopQA, JaNLI, JSICK, JSeM, Jamp; .gz too),"
        " llm-jp-eval's own evaluation folder, rows {dataset, id, input, gold}, hub ids; default: the bundled set, which is"
        " Watari's own and no benchmark's",
    )
    datasets: list[str] = Field(
        default_factory=list, description="only these; default: all that are there and that the spec knows"
    )
    prompts: OutsidePath | None = Field(
        default=None,
        description="upstream's words: {dataset: template} or {header, instructions}, JSON; default: the instructions in"
        " the datasets' files, else Watari's own, and the scores are then marked watari-jaster/N",
    )
    style: Literal["completion", "chat"] | None = Field(
        default=None,
        description="completion: the prompt as text, as upstream; chat: as one user's message through the template."
        " Default: completion, chat for an endpoint with `api: chat`",
    )
    shots: int | None = Field(
        default=None, ge=0, le=100, description="examples before each item; default: the spec's (4)"
    )
    limit: int | None = Field(
        default=None,
        ge=0,
        description="items of each dataset, the first so many; 0: all. Default: the spec's (100, as upstream)",
    )
    runs: int = Field(
        default=1,
        ge=1,
        le=100,
        description="answers to each item; more than one only makes sense above temperature 0",
    )
    max_tokens: Count | None = Field(
        default=None,
        ge=1,
        description="tokens of an answer at most; default: the dataset's own (`output_length`), else the spec's",
    )
    bos_in_prompt: str = Field(
        default="",
        description="a BOS written into the prompt behind the instruction mark, as Shisa's patch of llm-jp-eval did"
        " (`<s>`): it makes their figures comparable, and is no good idea otherwise",
    )
    on_bos: OnBos = Field(default="stop", description=ON_BOS)
    sampler: Sampler = EndpointSampler(temperature=0.0)
    batch: Batch = 64
    device: Device = "auto"

    @field_validator("questions", mode="before")
    @classmethod
    def _bundled_is_the_default(cls, value: Any) -> Any:
        """One place is a list of one; a recipe makes a path of the word `bundled`, relative to its file."""
        places = [value] if isinstance(value, str) else value
        if not isinstance(places, list):
            return value
        return [one for one in places if not is_bundled(one)]

    @model_validator(mode="after")
    def _limit_is_one(self) -> Params:
        check_one_limit(self.sampler)
        if self.chats and self.bos_in_prompt:
            raise ValueError("bos_in_prompt: a BOS in a message is text, no token; ask in completion style")
        return self

    @property
    def chats(self) -> bool:
        """Whether prompts are sent as messages."""
        if self.style is not None:
            return self.style == "chat"
        return isinstance(self.model, Endpoint) and self.model.api == "chat"

    @property
    def longest_answer(self) -> int:
        """An answer that was cut off is never asked again with a larger limit: upstream does not."""
        return 1

    @property
    def send_seed(self) -> bool:
        """A seed is sent where something is drawn."""
        return bool(self.sampler.temperature)
