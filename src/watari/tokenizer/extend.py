"""`tokenizer.extend`: new pieces for a new language, under which every base text keeps its ids.

The base is SentencePiece BPE with byte fallback (Llama 1/2, Mistral 7B) or byte-level BPE (Llama 3, Qwen, tekken).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator

from watari.artifact.draws import draw_uint64
from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Documents, OneOrMore, StageParams, Tokenizer
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.tokenizer.build import Tell
    from watari.tokenizer.encoder import Encoder
    from watari.tokenizer.goal import Goal
    from watari.tokenizer.policy import Policy
    from watari.tokenizer.texts import Text

_KIND = "tokenizer.extend"
HELD_OUT = 20
"""One document in so many, by draw, is kept out of training and only measured."""
DEFAULT_ADD = 11_008
"""Doubles Mistral's characters per Japanese token, and makes 43,008 pieces, a multiple of 128 (facts: tokenizer §4)."""


class Choices(StageParams):
    """How many pieces are added, and what they may be: the same for the stage and the command."""

    add: Count | None = Field(
        None, ge=1, description=f"pieces to add; default: {DEFAULT_ADD:,}, unless another goal is given"
    )
    size: Count | None = Field(None, ge=1, description="instead of `add`: make the vocabulary this large")
    characters_per_token: float | None = Field(
        None, gt=0, description="instead of `add`: until the learning text has so many characters per token"
    )
    min_gain: float | None = Field(
        None,
        gt=0,
        description="instead of `add`: until the next piece saves fewer tokens than this per million characters",
    )
    align: Count | None = Field(
        64,
        ge=1,
        description="make the vocabulary a multiple of this with real pieces: the number is rounded up to the next "
        "such, or down if the text does not hold that many; null: exactly as many as asked",
    )
    max_length: Count = Field(
        16, ge=2, description="characters of the longest new piece (6 to 32 differ by 0.6 %: facts §4)"
    )
    min_frequency: Count = Field(
        2, ge=1, description="how often a piece must occur when it is learned, by weight"
    )
    min_sources: Count = Field(
        1,
        ge=1,
        description="in how many of the texts a piece must occur, so that one source's junk stays out",
    )
    digits: bool = Field(
        False,
        description="let digits stand inside a piece (2001年): 2 to 4 % more characters per token on encyclopaedic "
        "text (facts §4), but numbers are then no longer spelled digit by digit",
    )
    cross_word: bool | None = Field(
        None,
        description="let a piece run across punctuation (and blanks): 6 to 12 % more characters per token in Japanese "
        "(facts §4); default: yes in a language without blanks between words, no in others",
    )
    mixed_scripts: bool = Field(True, description="let a piece hold kanji and kana both")
    forbid: list[str] = Field(
        default_factory=list, description="regular expressions; a piece in which one is found is not taken"
    )
    prune: bool = Field(
        True, description="leave out pieces that the learning text never comes to use, and take the next best"
    )
    language: str = Field(
        description="the language whose script new pieces are made of; every piece holds a character of it"
    )

    @field_validator("language")
    @classmethod
    def _has_script(cls, value: str) -> str:
        from watari.languages import languages

        if value not in languages():
            raise ValueError(f"'{value}' has no language pack; known: {', '.join(languages())}")
        return value

    @field_validator("forbid")
    @classmethod
    def _patterns(cls, value: list[str]) -> list[str]:
        import re

        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_goal(self) -> Choices:
        given = [name for name in ("add", "size", "characters_per_token", "min_gain") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude one another: give one")
        return self

    def policy(self) -> Policy:
        """Return what a piece may be."""
        from watari.tokenizer.policy import Policy
        from watari.tokenizer.script import script_of

        script = script_of(self.language)
        return Policy(
            script=script,
            max_length=self.max_length,
            min_frequency=self.min_frequency,
            min_sources=self.min_sources,
            digits=self.digits,
            cross_word=not script.spaces if self.cross_word is None else self.cross_word,
            mixed_scripts=self.mixed_scripts,
            forbidden=tuple(self.forbid),
        )

    def goal(self) -> Goal:
        """Return how many pieces there shall be."""
        from watari.tokenizer.goal import Goal

        counted = self.size or self.characters_per_token or self.min_gain
        return Goal(
            add=self.add if counted else self.add or DEFAULT_ADD,
            size=self.size,
            characters_per_token=self.characters_per_token,
            min_gain=self.min_gain,
            align=self.align,
        )


class Params(Choices):
    """What is added to which tokenizer, from which text."""

    base: Tokenizer = Field(description="the tokenizer to extend, or a model whose own is meant")
    text: Annotated[list[Documents], OneOrMore] = Field(
        min_length=1, description="documents that new pieces are learned from"
    )
    weights: list[float] | None = Field(
        None,
        description="what an occurrence in each of `text` counts, in their order; default 1. Text that is like what "
        "the model will read is worth more than any cleverness of selection (facts §1)",
    )
    fuzz: Count = Field(
        2_000,
        ge=0,
        description="drawn strings that the certificate's checks are run on, beside the held-out documents",
    )

    @model_validator(mode="after")
    def _a_weight_each(self) -> Params:
        if self.weights is not None:
            if len(self.weights) != len(self.text):
                raise ValueError(f"weights: {len(self.weights)} for {len(self.text)} texts; give one each")
            if min(self.weights) <= 0:
                raise ValueError("weights: every weight must be above 0; leave a text out instead")
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the extended tokenizer, with graft.json and certificate.json.

    Files: tokenizer.json and tokenizer_config.json; tokenizer.model where the base has one; rank files where it has
    those.

    Raises:
        UserError: if the base is of a family that cannot be extended, or the text holds too few new pieces.
        CheckFailed: if the outcome breaks a promise of the certificate; a defect of Watari.
    """
    from watari.tokenizer.build import extend_tokenizer, write_extension
    from watari.tokenizer.certificate import certify
    from watari.tokenizer.opening import open_base

    source = inputs.one("base")
    base = open_base(str(source.path), name=source.name)
    train, held_out = _read_text(params, inputs)
    weights = None
    if params.weights is not None:
        names = [artifact.name for artifact in inputs.many("text")]
        weights = dict(zip(names, params.weights, strict=True))
    extension = extend_tokenizer(
        base,
        train,
        params.policy(),
        params.goal(),
        weights=weights,
        prune_unused=params.prune,
        tell=teller(progress),
    )
    write_extension(extension, out, templates=source.path)
    progress.update(len(extension.graft.pieces), len(extension.graft.pieces), unit="pieces", note="proving")
    sheet = certify(
        base, source.path, out, held_out or train, params.policy().script, fuzz=params.fuzz, seed=params.seed
    )
    extended = extension.extended
    measured = {"train": compared(base, extended, train)}
    if held_out:
        measured["held_out"] = compared(base, extended, held_out)
    metrics = {
        "family": base.family,
        "vocabulary_before": len(base),
        "vocabulary": len(extended),
        "requested": params.goal().add or params.goal().size,
        "added": len(extension.graft.pieces),
        "unused_left_out": extension.unused,
        "only_steps": extension.graft.frequency.count(0),
        "not_writable": len(extension.lost),
        "documents": {"train": len(train), "held_out": len(held_out)},
        "characters": {"train": counted(train), "held_out": counted(held_out)},
        "characters_per_token": measured,
        "certificate": {"holds": sheet.holds, "invariants": len(sheet.results)},
    }
    return StageResult(metrics=metrics)


def teller(progress: Progress) -> Tell:
    """Return how the library function tells a stage's or command's progress; it also stops when asked."""

    def tell(done: int, wanted: int, doing: str) -> None:
        if done % 64 == 0 or done == wanted:
            stop_if_asked(progress)
            progress.update(done, wanted or None, unit="pieces", note=doing)

    return tell


def compared(base: Encoder, extended: Encoder, texts: Sequence[Text]) -> dict[str, Any]:
    """Return {before, after, by_language: {language: {before, after}}} in characters per token."""
    languages = sorted({text.language for text in texts})
    found = {
        language: _per_token(base, extended, [text for text in texts if text.language == language])
        for language in languages
    }
    return {**_ratios(found.values()), "by_language": {key: _ratios([value]) for key, value in found.items()}}


def counted(texts: Sequence[Text]) -> int:
    """Return the number of code points of `texts`."""
    return sum(len(text.text) for text in texts)


def _per_token(base: Encoder, extended: Encoder, texts: Sequence[Text]) -> tuple[int, int, int]:
    from watari.tokenizer.prune import usage

    plain = [text.text for text in texts]
    return counted(texts), int(usage(base, plain).sum()), int(usage(extended, plain).sum())


def _ratios(found: Any) -> dict[str, float]:
    characters, before, after = (sum(column) for column in zip(*found, strict=True))
    return {"before": round(characters / max(1, before), 4), "after": round(characters / max(1, after), 4)}


def _read_text(params: Params, inputs: Inputs) -> tuple[list[Text], list[Text]]:
    """Return the documents to learn from, and those held out: one in `HELD_OUT`, by draw."""
    from watari.artifact.rows import select_rows
    from watari.tokenizer.texts import Text

    train: list[Text] = []
    held_out: list[Text] = []
    for artifact in inputs.many("text"):
        for row in select_rows(artifact, seed=params.seed, stage=_KIND):
            language = row.get("language") or "und"
            item = Text(str(row["id"]), row["text"] or "", language, artifact.name)
            (held_out if is_held_out(item, params.seed) else train).append(item)
    if not train:
        # A handful of documents may all be drawn out; then there is nothing to hold out from.
        train, held_out = held_out, []
    if not train:
        raise UserError("text: holds no documents", "feed a stage or dataset that does")
    return train, held_out


def is_held_out(text: Text, seed: int) -> bool:
    """True if a document is only measured: one in `HELD_OUT`, by a draw keyed by its id."""
    return draw_uint64(seed, _KIND, text.id) % HELD_OUT == 0


STAGE = Stage(kind=_KIND, version=2, output=Kind.TOKENIZER, params=Params, run=run)
