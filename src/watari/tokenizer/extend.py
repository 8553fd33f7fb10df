"""`tokenizer.extend`: new pieces for a new language, under which every base text keeps its ids.

The base must be a SentencePiece BPE model with byte fallback (Llama 1/2, Mistral 7B).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from watari.artifact.draws import draw_uint64
from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Documents, OneOrMore, StageParams, Tokenizer
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.pretrained.sentencepiece import SpmModel
    from watari.tokenizer.measure import Text

_KIND = "tokenizer.extend"
HELD_OUT = 20
"""One document in so many, by draw, is kept out of training and only measured."""
_EXACT = 1 << 24
"""Whole numbers below this are exact in float32, in which scores are stored."""


class Params(StageParams):
    """What is added to which tokenizer, from which text."""

    base: Tokenizer = Field(description="the tokenizer to extend, or a model whose own is meant")
    text: Annotated[list[Documents], OneOrMore] = Field(
        min_length=1,
        description="documents that new pieces are learned from; `ratio` in a selection weighs one",
    )
    add: Count = Field(
        11_008,
        ge=1,
        description="pieces to add; 11k doubles Mistral's characters per Japanese token (facts: tokenizer §4)",
    )
    align: Count | None = Field(
        64,
        ge=1,
        description="make the vocabulary a multiple of this with real pieces: `add` is rounded up to the next such "
        "number, or down if the text does not hold that many; null: add exactly `add`",
    )
    max_length: Count = Field(
        16, ge=2, description="characters of the longest new piece (6 to 32 differ by 0.6 %: facts §4)"
    )
    min_frequency: Count = Field(2, ge=1, description="how often a piece must occur when it is learned")
    language: str = Field(
        description="the language whose script new pieces are made of; every piece holds a character of it",
    )

    @field_validator("language")
    @classmethod
    def _has_script(cls, value: str) -> str:
        from watari.tokenizer.script import languages

        if value not in languages():
            raise ValueError(f"'{value}' has no script table; known: {', '.join(languages())}")
        return value


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the extended tokenizer: tokenizer.model, tokenizer.json, tokenizer_config.json, graft.json.

    Raises:
        UserError: if the base is of another family, or the text holds too few new pieces.
    """
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.graft import Graft, write_graft
    from watari.tokenizer.measure import compare, counted, measure
    from watari.tokenizer.script import script_of
    from watari.tokenizer.spans import collect_spans
    from watari.tokenizer.train import Limits, banned, learn_pieces

    source = inputs.one("base")
    base, settings = _read_base(source.path, source.name)
    train, held_out = _read_text(params, inputs)
    script = script_of(params.language)
    wanted = _aligned_up(len(base), params.add, params.align)

    progress.update(0, wanted, unit="pieces", note="reading the text")
    spans = collect_spans(base, [item.text for item in train], script)
    limits = Limits(params.max_length, params.min_frequency)

    def tell(done: int) -> None:
        if done % 64 == 0:
            stop_if_asked(progress)
            progress.update(done, wanted, unit="pieces")

    learned = learn_pieces(spans, script, banned(base, script), wanted, limits, tell)
    pieces = learned if len(learned) == wanted else _aligned_down(learned, len(base), params.align)
    if not pieces:
        raise UserError(
            f"text: {counted(train):,} characters hold {len(learned)} new pieces of {params.language} that occur "
            f"{params.min_frequency} times; {wanted:,} are wanted",
            "give more text of the language, or lower `add`, `align` or `min_frequency`",
        )

    progress.update(len(pieces), wanted, unit="pieces", note="writing and measuring")
    extended = extend_model(base, pieces)
    write_fast_tokenizer(extended, out, base=len(base), settings=settings)
    _copy_templates(source.path, out)
    before, after = measure(base.processor(), train), measure(extended.processor(), train)
    parents = base_segmentation(base, pieces)
    graft = Graft(
        language=params.language,
        base_digest=base.digest(),
        base_vocabulary=len(base),
        pieces=pieces,
        ranks=list(range(len(pieces))),
        parents=parents,
        frequency=after.counts[len(base) :].tolist(),
        first_frequency=[int(before.counts[ids[0]]) for ids in parents],
    )
    write_graft(graft, out)
    measured = {"train": compare(before, after)}
    if held_out:
        measured["held_out"] = compare(
            measure(base.processor(), held_out), measure(extended.processor(), held_out)
        )
    metrics = {
        "vocabulary_before": len(base),
        "vocabulary": len(extended),
        "requested": params.add,
        "added": len(pieces),
        "unreachable": len(unreachable(extended, len(base))),
        "documents": {"train": len(train), "held_out": len(held_out)},
        "characters": {"train": counted(train), "held_out": counted(held_out)},
        "characters_per_token": measured,
    }
    return StageResult(metrics=metrics)


def extend_model(base: SpmModel, pieces: list[str]) -> SpmModel:
    """Return `base` with `pieces` appended, each scored one below the one before, all below the base's.

    Pieces that are only blanks stand at -1e9 in Llama and Mistral, where float32 cannot tell neighbours apart; they
    are left out when the lowest score is looked for (facts: tokenizer §6.1), and no new piece holds a blank.
    """
    from watari.pretrained.sentencepiece import SPACE, Piece, PieceKind

    floor = math.floor(
        min(p.score for p in base.pieces if p.kind is PieceKind.NORMAL and p.text.strip(SPACE))
    )
    if -floor + len(pieces) >= _EXACT:
        raise UserError(
            f"base: its lowest score is {floor}: {len(pieces)} lower ones are not distinct in float32"
        )
    return base.extended([Piece(text, float(floor - 1 - rank)) for rank, text in enumerate(pieces)])


def base_segmentation(base: SpmModel, pieces: list[str]) -> list[list[int]]:
    """Return the base's ids of each piece as it is spelled inside a text, without the leading blank of a text.

    A line break in front keeps the blank away; it is one piece or one byte, and joins with nothing of the script.
    """
    processor = base.processor()
    skip = len(processor.encode("\n"))
    return [ids[skip:] for ids in processor.encode(["\n" + piece for piece in pieces])]


def unreachable(extended: SpmModel, base: int) -> list[str]:
    """Return the new pieces that their own text does not encode to (none, unless training and encoder differ)."""
    new = [piece.text for piece in extended.pieces[base:]]
    found = base_segmentation(extended, new)
    return [text for index, text in enumerate(new) if found[index] != [base + index]]


def _read_base(folder: Path, name: str) -> tuple[SpmModel, dict[str, object]]:
    """Return the base's SentencePiece model and its tokenizer_config.json."""
    import json

    from watari.pretrained.fast import check_supported
    from watari.pretrained.sentencepiece import read_spm

    if not (folder / "tokenizer.model").is_file():
        what = "byte-level BPE or another" if (folder / "tokenizer.json").is_file() else "no"
        raise UserError(
            f"base: {name} has {what} tokenizer without tokenizer.model: not supported yet in this version",
            "supported: SentencePiece BPE with byte fallback, as in Llama 1/2 and Mistral 7B",
        )
    model = read_spm(folder / "tokenizer.model")
    check_supported(model, f"base: {name}")
    fast = folder / "tokenizer.json"
    if fast.is_file():
        added = json.loads(fast.read_text("utf-8")).get("added_tokens", [])
        beyond = [token["content"] for token in added if token["id"] >= len(model)]
        if beyond:
            raise UserError(
                f"base: {name} has added tokens behind its pieces ({beyond[0]!r}): not supported yet in this version",
                "extend the tokenizer of the pre-trained base, and let the chat tokens come after",
            )
    config = folder / "tokenizer_config.json"
    return model, json.loads(config.read_text("utf-8")) if config.is_file() else {}


def _read_text(params: Params, inputs: Inputs) -> tuple[list[Text], list[Text]]:
    """Return the documents to learn from, and those held out: one in `HELD_OUT`, by draw."""
    from watari.artifact.rows import select_rows
    from watari.tokenizer.measure import Text

    train: list[Text] = []
    held_out: list[Text] = []
    for artifact in inputs.many("text"):
        for row in select_rows(artifact, seed=params.seed, stage=_KIND):
            item = Text(str(row["id"]), row["text"] or "", row.get("language") or "und")
            out = draw_uint64(params.seed, _KIND, item.id) % HELD_OUT == 0
            (held_out if out else train).append(item)
    if not train:
        # A handful of documents may all be drawn out; then there is nothing to hold out from.
        train, held_out = held_out, []
    return train, held_out


def _aligned_up(base: int, add: int, align: int | None) -> int:
    return add if align is None else -(-(base + add) // align) * align - base


def _aligned_down(pieces: list[str], base: int, align: int | None) -> list[str]:
    return pieces if align is None else pieces[: max(0, (base + len(pieces)) // align * align - base)]


def _copy_templates(source: Path, out: Path) -> None:
    import shutil

    for name in ("chat_template.jinja", "special_tokens_map.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


STAGE = Stage(kind=_KIND, version=1, output=Kind.TOKENIZER, params=Params, run=run)
