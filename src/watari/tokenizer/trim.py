"""`tokenizer.trim`: a tokenizer without the tokens that nobody needs, the inverse of an extension.

For whom: a base with 150,000 tokens for fifty languages is to serve two of them. Fewer rows, a smaller head, less
memory and time a token; and no text in the languages kept is segmented in any other way (`trimming.proof` says what
exactly is promised, and certificate.json what was checked).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator

from watari.artifact.kinds import Kind
from watari.artifact.params import Count, Documents, OneOrMore, StageParams, Tokenizer
from watari.artifact.stage import Inputs, Progress, Silent, Stage, StageResult, stop_if_asked
from watari.errors import CheckFailed, UserError

if TYPE_CHECKING:
    from watari.pretrained.trimmed import Trim
    from watari.tokenizer.texts import Text
    from watari.tokenizer.trimming.choice import Choice
    from watari.tokenizer.trimming.forms import Form
    from watari.tokenizer.trimming.proof import Proof

_KIND = "tokenizer.trim"
HIDDEN = 4096
"""Width for which the metrics tell the parameters saved: that of the 7B and 8B bases."""


class Asked(StageParams):
    """What is wanted of a trimmed tokenizer; the stage's and the command's parameters."""

    drop: Annotated[list[str], OneOrMore] = Field(
        default_factory=list,
        description="leave out tokens with characters of these: languages with a pack (`ko`), or ranges of code "
        "points (`0400-052F`)",
    )
    keep: Annotated[list[str] | None, OneOrMore] = Field(
        None,
        description="instead: leave out tokens with letters, marks or digits of any script but those of these "
        "languages or ranges; the Latin alphabet, ASCII, punctuation and symbols are always kept",
    )
    min_frequency: Count | None = Field(
        None, ge=1, description="leave out tokens that come out of `text` more seldom than this"
    )
    align: Count | None = Field(
        64,
        ge=1,
        description="make the vocabulary a multiple of this: of the tokens to leave out so many stay, the most frequent "
        "in `text` or the lowest ids first; null: none",
    )
    fuzz: Count = Field(
        2_000, ge=0, description="drawn strings that the promises are checked on, beside `text`"
    )

    @field_validator("drop", "keep", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML reads `0900` as a number.
        if isinstance(value, list):
            return [str(item) if isinstance(item, int) else item for item in value]
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _known(self) -> Asked:
        from watari.tokenizer.trimming.characters import LATIN, ranges_of

        if self.drop and self.keep is not None:
            raise ValueError("drop and keep exclude one another: say what goes, or say what stays")
        if not self.drop and self.keep is None and self.min_frequency is None:
            raise ValueError("nothing says what to leave out: give drop, keep or min_frequency")
        for item in (*self.drop, *(self.keep or [])):
            if self.keep is None or item not in LATIN:
                try:
                    ranges_of(item)
                except UserError as error:
                    raise ValueError(str(error)) from None
        return self


class Params(Asked):
    """What is left out of which tokenizer."""

    base: Tokenizer = Field(description="the tokenizer to trim, or a model whose own is meant")
    text: Annotated[list[Documents], OneOrMore] = Field(
        default_factory=list,
        description="documents of what the model is for: what they use stays, and the promises are checked on them",
    )

    @model_validator(mode="after")
    def _text_to_count(self) -> Params:
        if self.min_frequency is not None and not self.text:
            raise ValueError("min_frequency counts tokens in `text`, which is not given")
        return self


@dataclass(frozen=True)
class Trimming:
    """A trimmed tokenizer.

    Args:
        base: What it was.
        trimmed: What is left.
        trim: The kept ids.
        choice: Why.
        proof: What holds.
    """

    base: Form
    trimmed: Form
    trim: Trim
    choice: Choice
    proof: Proof


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Write the trimmed tokenizer, with trim.json and certificate.json.

    Metrics: vocabulary_before, vocabulary, dropped {all, by_reason}, needed_by_others, kept_for_alignment,
    characters_per_token {before, after, by_language} of `text`, parameters_saved {hidden, a_table}, certificate.

    Raises:
        UserError: if the base is of a family that cannot be trimmed, nothing is left out, or its chat template writes
            a token that would be.
        CheckFailed: if a promise does not hold; a defect of Watari.
    """
    source = inputs.one("base")
    texts = _read_text(params, inputs)
    trimming = trim_tokenizer(source.path, out, params, texts, name=source.name, progress=progress)
    return StageResult(metrics=metrics(trimming, texts))


def trim_tokenizer(
    source: Path,
    out: Path,
    asked: Asked,
    texts: Sequence[Text] = (),
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> Trimming:
    """Trim the tokenizer `source` and write it to `out`: its files, trim.json, certificate.json.

    Deterministic.

    Args:
        source: A tokenizer or model folder, a tokenizer's file (what lies beside it goes along), or a packaged name.
        out: Made if missing.
        asked: What goes and what stays.
        texts: Documents to count and to check on.
        name: How messages call the base.
        progress: Told what is being done.

    Raises:
        UserError, CheckFailed: see `run`.
    """
    from watari.pretrained.trimmed import Trim, write_trim
    from watari.tokenizer.opening import locate
    from watari.tokenizer.prune import usage
    from watari.tokenizer.trimming.characters import dropping, keeping
    from watari.tokenizer.trimming.choice import UNUSED, choose, reasons_against
    from watari.tokenizer.trimming.forms import digest_of_pieces, open_form
    from watari.tokenizer.trimming.proof import prove, write_certificate
    from watari.tokenizer.trimming.template import template_tokens

    progress = progress or Silent()
    base, home = open_form(source, name or source.name), locate(str(source)).parent
    plain = [text.text for text in texts]
    _tell(progress, 0, "counting tokens in the text")
    counts = usage(base, plain) if plain else None
    unwanted = None
    if asked.drop:
        unwanted = dropping(asked.drop)
    elif asked.keep is not None:
        unwanted = keeping(asked.keep)
    against = reasons_against(base, unwanted, counts, asked.min_frequency)
    for index in template_tokens(base, home):
        reason = against.get(index)
        if reason not in (None, UNUSED):
            raise UserError(
                f"base: the chat template of {base.name} writes {base.pieces()[index]!r}, which would be left out "
                f"({reason})",
                "keep its characters, or give the tokenizer another template first",
            )
        against.pop(index, None)
    _tell(progress, 1, "choosing")
    choice = choose(base, against, counts=counts, align=asked.align)
    if not choice.dropped:
        raise UserError(
            f"base: nothing of {base.name} is left out: "
            + (
                f"{len(against)} tokens are unwanted, and alignment to {asked.align} keeps them all"
                if against
                else "no token holds what is unwanted"
            ),
            "lower `align`, or ask for more to go" if against else None,
        )
    trim = Trim(base_digest=digest_of_pieces(base), base_vocabulary=len(base), kept=choice.kept)
    trimmed = base.kept(choice.kept)
    trimmed.write(out)
    write_trim(trim, out)
    for file in ("chat_template.jinja", "special_tokens_map.json"):
        if (home / file).is_file():
            shutil.copyfile(home / file, out / file)
    _tell(progress, 2, "proving")
    proof = prove(base, trim, out, plain, fuzz=asked.fuzz, seed=asked.seed)
    write_certificate(base, trim, proof, out)
    for finding in proof.findings:
        if not finding.holds:
            raise CheckFailed(
                f"{finding.title}: it does not, in {finding.failures:,} of {finding.cases:,} cases: "
                f"{finding.counter_example}",
                f"see {out / 'certificate.json'}; please report it",
            )
    return Trimming(base, trimmed, trim, choice, proof)


def metrics(trimming: Trimming, texts: Sequence[Text]) -> dict[str, Any]:
    """Return the figures of a trimming; see `run`."""
    choice, trim = trimming.choice, trimming.trim
    found: dict[str, Any] = {
        "vocabulary_before": trim.base_vocabulary,
        "vocabulary": trim.vocabulary,
        "dropped": {"all": len(choice.dropped), "by_reason": choice.reasons()},
        "needed_by_others": len(choice.needed),
        "kept_for_alignment": len(choice.filled),
        "parameters_saved": {
            "hidden": HIDDEN,
            "a_table": (trim.base_vocabulary - trim.vocabulary) * HIDDEN,
        },
        "certificate": {"holds": trimming.proof.holds, "checks": len(trimming.proof.findings)},
    }
    if texts:
        found["characters_per_token"] = _compared(trimming.base, trimming.trimmed, texts)
    return found


def _compared(base: Form, trimmed: Form, texts: Sequence[Text]) -> dict[str, Any]:
    from watari.tokenizer.prune import usage

    sums: dict[str, tuple[int, int, int]] = {}
    for language in sorted({text.language for text in texts}):
        plain = [text.text for text in texts if text.language == language]
        sums[language] = (
            sum(map(len, plain)),
            int(usage(base, plain).sum()),
            int(usage(trimmed, plain).sum()),
        )
    whole = [sum(column) for column in zip(*sums.values(), strict=True)]
    return {**_ratios(whole), "by_language": {language: _ratios(given) for language, given in sums.items()}}


def _ratios(given: Sequence[int]) -> dict[str, float]:
    characters, before, after = given
    return {"before": round(characters / max(1, before), 4), "after": round(characters / max(1, after), 4)}


def _read_text(params: Params, inputs: Inputs) -> list[Text]:
    from watari.artifact.rows import select_rows
    from watari.tokenizer.texts import Text

    return [
        Text(str(row["id"]), row["text"] or "", row.get("language") or "und", artifact.name)
        for artifact in inputs.many("text")
        for row in select_rows(artifact, seed=params.seed, stage=_KIND)
    ]


def _tell(progress: Progress, done: int, doing: str) -> None:
    stop_if_asked(progress)
    progress.update(done, 3, unit="steps", note=doing)


STAGE = Stage(kind=_KIND, version=1, output=Kind.TOKENIZER, params=Params, run=run)
