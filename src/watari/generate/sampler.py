"""How the next token is chosen: one set of settings for every engine, refused where an engine cannot express it.

An engine that drops a setting without a word makes a sweep meaningless (vLLM V1 once ignored `min_p`,
facts/preference-serving.md §4), so the mapping to an engine raises instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from watari.errors import UserError

if TYPE_CHECKING:
    from transformers import GenerationConfig


class Sampler(BaseModel):
    """Settings of the choice of tokens. `temperature` 0 is greedy search; truncation settings then have no effect.

    The order is that of transformers: repetition penalty, temperature, top_k, top_p, min_p.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="divides the logits; 0 = greedy. Default: the model's own distribution",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="keep the likeliest tokens that together reach this probability; 1 = all",
    )
    top_k: int = Field(default=0, ge=0, description="keep this many of the likeliest tokens; 0 = all")
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="keep tokens with at least this share of the likeliest one's probability; 0 = all",
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="weakens tokens of the prompt and the answer so far (CTRL, arXiv:1909.05858); 1 = none",
    )
    frequency_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="taken off the logit for each time a token was used (OpenAI); endpoints only; 0 = none",
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-2,
        le=2,
        description="taken off the logit once a token was used (OpenAI); endpoints only; 0 = none",
    )
    max_new_tokens: int = Field(default=512, ge=1, description="tokens of an answer at most")
    stop: tuple[str, ...] = Field(
        default=(), description="texts that end the answer; they are not part of it"
    )

    @model_validator(mode="after")
    def _stops_have_text(self) -> Sampler:
        if not all(self.stop):
            raise ValueError("stop: an empty text would end every answer at once")
        return self

    @property
    def greedy(self) -> bool:
        """True if the likeliest token is always taken: the seed then plays no part."""
        return self.temperature == 0 or self.top_k == 1

    def with_settings(self, **settings: Any) -> Sampler:
        """Return a copy with these fields set, checked.

        Raises:
            UserError: naming the field whose value is refused.
        """
        try:
            return Sampler.model_validate({**self.model_dump(), **settings})
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "sampler"
            raise UserError(f"sampler: {field}: {first['msg']}, not {first['input']!r}") from None

    def with_generation_config(self, settings: Mapping[str, Any]) -> Sampler:
        """Return a copy in which a model's own `generation_config.json` wins wherever it sets a sampling field.

        Args:
            settings: The file's content. `do_sample: false`, written out, means greedy; a temperature beside it
                has no effect in transformers, and so has none here.
        """
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")
        found = {name: settings[name] for name in names if settings.get(name) is not None}
        if settings.get("do_sample") is False:
            found["temperature"] = 0.0
        return self.with_settings(**found)

    def refuse_for_local(self) -> None:
        """Raise `UserError` if models in this process (transformers) cannot express a setting."""
        for name in ("frequency_penalty", "presence_penalty"):
            if getattr(self, name):
                raise UserError(
                    f"sampler: {name}: transformers has no such setting",
                    "use repetition_penalty, or an endpoint whose server has it",
                )

    def to_generation_config(self, **ids: Any) -> GenerationConfig:
        """Return transformers' settings that mean the same.

        Args:
            ids: `eos_token_id`, `pad_token_id` and the like, passed on.

        Raises:
            UserError: for a setting that transformers has not.
        """
        from transformers import GenerationConfig

        self.refuse_for_local()
        settings: dict[str, Any] = {"max_new_tokens": self.max_new_tokens, "do_sample": not self.greedy}
        if self.repetition_penalty != 1:
            settings["repetition_penalty"] = self.repetition_penalty
        if self.stop:
            settings["stop_strings"] = list(self.stop)
        if not self.greedy:
            # top_k 0 is written out: transformers' own default of 50 would come in otherwise.
            settings |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
            if self.min_p:
                settings["min_p"] = self.min_p
        config: GenerationConfig = GenerationConfig(**settings, **ids)  # type: ignore[no-untyped-call]
        return config


SHISA_CARD: Final = Sampler(temperature=0.7, repetition_penalty=1.05, top_p=0.95, max_new_tokens=1000)
"""The sampling of Shisa 7B's model card (its sample code; facts/seed-systems.md §4)."""

GREEDY: Final = Sampler(temperature=0.0)
"""The likeliest token at every step."""
