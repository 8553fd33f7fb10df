"""Parameters of `synth.translate`."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

from pydantic import Field, model_validator

from watari.artifact.params import RUNTIME, Conversations, Count, OneOrMore, OutsidePath
from watari.artifact.records import OnError
from watari.endpoint.params import AskingParams, EndpointRef

KIND = "synth.translate"


with warnings.catch_warnings():
    # pydantic warns of the name `register`, which is a method of ABCMeta and none of its instances'.
    warnings.filterwarnings("ignore", message='Field name "register"')

    class Params(AskingParams):
        """Parameters of `synth.translate`."""

        data: Annotated[list[Conversations], OneOrMore] = Field(
            min_length=1, description="what is translated"
        )
        teachers: Annotated[list[EndpointRef], OneOrMore] = Field(
            min_length=1,
            description="the ladder, cheapest first: what the first cannot do the next is asked for",
        )
        language: str = Field(
            pattern=r"^[a-z]{2,3}$",
            description="the language translated into, ISO 639; the recipe's unless given",
        )
        source_language: str = Field(
            default="en", pattern=r"^[a-z]{2,3}$", description="the language of the data"
        )
        repairs: int = Field(
            default=1,
            ge=0,
            le=5,
            description="times that each teacher mends its own answer, told which checks it failed",
        )
        register: Literal["polite", "plain", "keep"] = Field(
            default="polite", description="how the translation speaks; keep: as the source does"
        )
        style: list[str] = Field(
            default_factory=list,
            description="further notes on style, a line each, in English or the target language",
        )
        glossary: OutsidePath | None = Field(
            default=None, description="terms and their translations: a file (.yaml, .csv, .tsv, .json)"
        )
        terms: dict[str, str] = Field(
            default_factory=dict, description="terms written here; they go before those of the file"
        )
        system: Literal["keep", "translate", "drop"] = Field(
            default="translate", description="what is done with system prompts"
        )
        code: Literal["keep", "translate"] = Field(
            default="keep",
            description="comments and texts inside code blocks: left as they are (the block is not sent), or translated",
        )
        routed: Literal["native", "drop", "translate"] = Field(
            default="native",
            description="what must not be translated (letter counts, rhymes, translation tasks): the strongest teacher writes a"
            " task of the kind in the target language, or it is dropped, or translated all the same",
        )
        max_characters: Count = Field(
            default=8000,
            ge=500,
            description="characters sent in one request; a longer conversation goes in several, each with the end of the one before",
        )
        max_tokens: Count | None = Field(
            default=None,
            ge=16,
            description="of an answer at first; default: the endpoint's, else 256 + 1.5 a character that is sent",
        )
        longest_answer: Count = Field(
            default=16384, ge=16, description="tokens to which an answer that was cut off may be raised"
        )
        temperature: float | None = Field(
            default=None,
            ge=0,
            le=2,
            description="default: the endpoint's, else 0.1 (Shisa's bulk run had 0.05-0.1)",
        )
        send_seed: bool = Field(
            default=True, description="send a seed with every request; off for servers that refuse the field"
        )
        human: OutsidePath | None = Field(
            default=None,
            description="a filled-in human.jsonl of an earlier run: its rows are taken before anything is asked",
        )
        on_error: OnError = Field(
            default="stop", description="what a row that is no conversation does: stop, or drop with a reason"
        )
        check_workers: Annotated[int | None, RUNTIME] = Field(
            default=None,
            ge=0,
            description="processes for the checks; 0: in this one; default: one less than the cores, none for few rows",
        )
        dry_run: Annotated[bool, RUNTIME] = Field(
            default=False,
            description="tell rows, tokens and cost, and stop before anything is sent or written",
        )

        @model_validator(mode="after")
        def _languages_differ(self) -> Params:
            if self.language == self.source_language:
                raise ValueError(f"language: source and target are both '{self.language}'")
            return self
