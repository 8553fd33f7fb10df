"""What a trimmed tokenizer promises, and the checks of it that go into `certificate.json`.

Let K be the kept ids, and K be closed: whatever a kept piece is made from is kept. Then

T1  a text whose base ids are all in K has the same ids, renumbered, under the trimmed tokenizer. For the pieces that
    the base comes to, and by closure all that it makes on the way, are kept. The trimmed joins are the base's, in
    their order, without those that name a dropped piece. At each step the base's next join is therefore among the
    trimmed ones, and nothing stands in front of it that did not before; so both take the same step, and where the
    base has none left, neither has the other. `closed` and `joins` check the two premises on every piece and every
    join; `same-ids` tries the conclusion on texts.
T2  any text comes back as it does under the base: what has no piece is spelled in bytes.
T3  ids keep their order, and special tokens their meaning.
T4  the files agree: tokenizer.model, tokenizer.json and what AutoTokenizer makes of the folder.

Nothing is promised of the ids of a text that the base spells with a dropped piece; only that it comes back whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.artifact.draws import generator
from watari.pretrained.sentencepiece import SPACE, vocabulary_digest
from watari.pretrained.trimmed import Trim
from watari.tokenizer.encoder import Ids
from watari.tokenizer.trimming.forms import Form, SpmForm, open_form
from watari.tokenizer.trimming.joining import merge_list

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CERTIFICATE = "certificate.json"
FORMAT = 1
_STAGE = "tokenizer.trim"
_BATCH = 256


@dataclass(frozen=True)
class Finding:
    """Whether one promise holds.

    Args:
        name: Its name.
        law: T1 … T4.
        title: What is promised.
        holds: Whether it does.
        cases: How many pieces, joins or texts were asked.
        failures: In how many of them it does not hold.
        counter_example: The first of them, in words; None where it holds.
    """

    name: str
    law: str
    title: str
    holds: bool
    cases: int
    failures: int
    counter_example: str | None = None


@dataclass(frozen=True)
class Proof:
    """Every finding, and what the texts were.

    Args:
        findings: One a promise.
        documents: Texts asked.
        fuzz: Drawn strings asked.
        seed: Of the draws.
    """

    findings: tuple[Finding, ...]
    documents: int
    fuzz: int
    seed: int

    @property
    def holds(self) -> bool:
        """True if every promise holds."""
        return all(finding.holds for finding in self.findings)


def prove(base: Form, trim: Trim, out: Path, texts: Sequence[str], *, fuzz: int, seed: int) -> Proof:
    """Check the tokenizer that was written to `out` against its base.

    Args:
        base: The base.
        trim: What was kept.
        out: The folder, as others will read it.
        texts: Documents.
        fuzz: Strings to draw beside them, three in four of kept pieces only.
        seed: Of the draws.
    """
    from watari.pretrained import load_tokenizer

    trimmed, loaded = open_form(out, base.name), load_tokenizer(out)
    drawn = list(fuzz_strings(base, trim, fuzz, seed))
    findings = [
        _closed(base, trim),
        _joins(base, trim, out),
        _order(base, trimmed, trim),
        _specials(base, trimmed, trim, loaded),
        *_on_texts(base, trimmed, trim, out, loaded, [*texts, *drawn]),
    ]
    return Proof(tuple(findings), len(texts), len(drawn), seed)


def write_certificate(base: Form, trim: Trim, proof: Proof, out: Path) -> None:
    """Write `certificate.json`; it is the same on every run."""
    content = {
        "format": FORMAT,
        "holds": proof.holds,
        "base": {"vocabulary": trim.base_vocabulary, "digest": trim.base_digest},
        "trimmed": {"vocabulary": trim.vocabulary, "digest": _digest(base, trim)},
        "promise": "a text that the base spells with kept tokens only keeps its ids, renumbered; every text comes back "
        "as under the base",
        "asked": {"documents": proof.documents, "fuzz": proof.fuzz, "seed": proof.seed},
        "invariants": [asdict(finding) for finding in proof.findings],
    }
    atomic.write_json(out / CERTIFICATE, content)


def fuzz_strings(base: Form, trim: Trim, count: int, seed: int) -> Iterator[str]:
    """Yield strings of pieces drawn at random: three in four of kept ones only, one of any."""
    everything = [_as_text(surface) for surface in base.surfaces()]
    kept = [text for text in (everything[index] for index in trim.kept) if text]
    anything = [text for text in everything if text]
    for number in range(count):
        draw = generator(seed, _STAGE, f"fuzz {number}")
        pool = anything if number % 4 == 3 else kept
        picks = draw.integers(0, len(pool), size=int(draw.integers(1, 16)))
        yield "".join(pool[index] for index in picks.tolist())


def _as_text(surface: bytes | None) -> str:
    try:
        text = "" if surface is None else surface.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    # U+2581 in a text is a blank to SentencePiece, in the base already.
    return text.replace(SPACE, "")


def _digest(base: Form, trim: Trim) -> str:
    pieces = base.pieces()
    return vocabulary_digest([pieces[index] for index in trim.kept])


class _Count:
    """Cases and failures of one promise, with the first failure."""

    def __init__(self, name: str, law: str, title: str) -> None:
        self._head = (name, law, title)
        self._cases = self._failures = 0
        self._first: str | None = None

    def case(self, holds: bool, told: object = "") -> None:
        """Count one case; `told` is what the certificate says of it if it is the first that fails."""
        self._cases += 1
        if not holds:
            self._failures += 1
            self._first = self._first if self._first is not None else str(told)

    def finding(self) -> Finding:
        """Return the outcome."""
        return Finding(*self._head, not self._failures, self._cases, self._failures, self._first)


def _closed(base: Form, trim: Trim) -> Finding:
    count = _Count("closed", "T1", "whatever a kept piece is made from is kept")
    kept = set(trim.kept)
    pieces = base.pieces()
    for index in trim.kept:
        missing = base.needs(index) - kept
        count.case(not missing, f"{pieces[index]!r} needs {[pieces[other] for other in sorted(missing)]}")
    return count.finding()


def _joins(base: Form, trim: Trim, out: Path) -> Finding:
    count = _Count("joins", "T1", "the joins are the base's, in their order, without those of dropped pieces")
    pieces = base.pieces()
    special = set(base.specials().values())
    kept = {pieces[index] for index in trim.kept if index not in special}
    wanted = [pair for pair in base.joins() if {*pair, "".join(pair)} <= kept]
    written = json.loads((out / "tokenizer.json").read_text("utf-8"))
    found = merge_list(written)
    for one, two in zip(wanted, found, strict=False):
        count.case(one == two, f"{one} in the base, {two} here")
    if len(wanted) != len(found):
        count.case(False, f"{len(wanted)} joins are wanted, {len(found)} are here")
    return count.finding()


def _order(base: Form, trimmed: Form, trim: Trim) -> Finding:
    count = _Count("order", "T3", "ids keep their order, pieces their text, scores and kinds")
    old, new = base.pieces(), trimmed.pieces()
    count.case(len(new) == trim.vocabulary, f"{len(new)} ids, {trim.vocabulary} kept")
    for (place, index), piece in zip(enumerate(trim.kept), new, strict=False):
        same = old[index] == piece
        if isinstance(base, SpmForm) and isinstance(trimmed, SpmForm):
            same = base.model.pieces[index] == trimmed.model.pieces[place]
        count.case(same, f"{old[index]!r} in the base, {piece!r} at {place}")
    return count.finding()


def _specials(base: Form, trimmed: Form, trim: Trim, loaded: PreTrainedTokenizerBase) -> Finding:
    count = _Count("special-tokens", "T3", "special and added tokens are all there and mean what they did")
    table = trim.new_ids()
    moved = {text: int(table[index]) for text, index in base.specials().items()}
    found = trimmed.specials()
    for text, index in moved.items():
        count.case(found.get(text) == index, f"{text!r} is {found.get(text)}, not {index}")
        given = loaded.convert_tokens_to_ids(text)
        count.case(given == index, f"{text!r} is {given} to AutoTokenizer, not {index}")
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        one, two = _content(base.settings.get(name)), getattr(loaded, name)
        if one is not None:
            count.case(one == two, f"{name} is {two!r}, not {one!r}")
    return count.finding()


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _on_texts(
    base: Form, trimmed: Form, trim: Trim, out: Path, loaded: PreTrainedTokenizerBase, texts: list[str]
) -> list[Finding]:
    from tokenizers import Tokenizer

    from watari.pretrained.encoding import encode_documents

    same = _Count(
        "same-ids", "T1", "a text that the base spells with kept tokens only keeps its ids, renumbered"
    )
    back = _Count("round-trip", "T2", "any text comes back as under the base")
    forms = _Count("forms", "T4", "the files of the tokenizer and AutoTokenizer give the same ids")
    table = trim.new_ids()
    fast = Tokenizer.from_file(str(out / "tokenizer.json"))
    fast.no_truncation()
    fast.no_padding()
    fast.encode_special_tokens = True
    # Behind a user-defined token the two libraries differ in the leading blank, in the base already.
    cut = [text for text in base.specials() if len(text) > 1]
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        before, after = base.encode(batch), trimmed.encode(batch)
        others = encode_documents(loaded, batch)
        raws = [item.ids for item in fast.encode_batch_fast(batch, add_special_tokens=False)]
        for text, old, new, other, raw in zip(batch, before, after, others, raws, strict=True):
            moved = table[old]
            if (moved >= 0).all():
                same.case(moved.tolist() == new.tolist(), _shown(text, new))
            back.case(base.decode(old.tolist()) == trimmed.decode(new.tolist()), _shown(text, new))
            if not any(special in text for special in cut):
                forms.case(new.tolist() == list(other) == list(raw), _shown(text, new))
    return [same.finding(), back.finding(), forms.finding()]


def _shown(text: str, ids: Ids) -> str:
    return f"{text[:80]!r}: {ids[:40].tolist()}"
