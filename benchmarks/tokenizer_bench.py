"""What one run of the tokenizer benchmark measures on, and our own tokenizers in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

import xxhash
from tokenizer_data import DEVELOPMENT, Corpus
from tokenizer_measure import say
from tokenizer_peers import FastMade, SentencePieceMade, Weighed, ours
from tokenizers import Tokenizer

from watari.pretrained.fast import tokenizer_json
from watari.tokenizer.encoder import BpeTokenizer
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.spm import SpmBpe

Learned = TypeVar("Learned")
MISTRAL = "Mistral v0.1"
WEIGHTS = {"ku-wikipedia": 8, "questions": 4, "kyoto-wiki": 2}
"""What a document of a source counts; 1 where it is not named. Modern and encyclopaedic text is scarce here."""
SCRIPT = script_of("ja")
POLICIES = {"Japanese only": Policy(SCRIPT), "with digits": Policy(SCRIPT, digits=True)}
COUNTS = (8_064, 11_008, 32_000, 88_000)
HEADLINE = 11_008
PEER_TEXT = 4_000_000
"""UTF-8 bytes of each kind of other text on which every method is tried; ours is tried on all of it."""


@dataclass
class Bench:
    """What one run measures on.

    Args:
        corpus: The texts.
        sources: Learning text with its weights.
        counts: Numbers of new pieces.
        wheels: A folder of wheels with real tokenizers.
        data: The folder of stored data; None: the demo's texts.
        quick: Tiny sizes.
        repeats: Of timings.
        cache: A folder where learned pieces are kept for another run over the same text; None: nowhere. Whoever
            changes a learner must empty it.
    """

    corpus: Corpus
    sources: list[Weighed]
    counts: tuple[int, ...]
    wheels: Path | None
    data: Path | None
    quick: bool
    repeats: int
    cache: Path | None = None
    _made: dict[tuple[str, str, int], BpeTokenizer] = field(default_factory=dict)

    @property
    def held(self) -> dict[str, list[str]]:
        """The Japanese texts that are reported."""
        return {name: texts for name, texts in self.corpus.held.items() if name not in DEVELOPMENT}

    @property
    def main_text(self) -> str:
        """The first of them: JSQuAD, where there is data."""
        return next(iter(self.held))

    @property
    def headline(self) -> int:
        """The number of pieces at which methods are compared one by one."""
        return HEADLINE if HEADLINE in self.counts else max(self.counts)

    @property
    def other(self) -> list[str]:
        """Every document without a Japanese character."""
        return [text for texts in self.corpus.other.values() for text in texts]

    @property
    def sample(self) -> list[str]:
        """Documents of `other` for the methods of others, as many of each kind."""
        found = []
        for texts in self.corpus.other.values():
            size = 0
            for text in texts:
                if size < PEER_TEXT:
                    found.append(text)
                    size += len(text.encode("utf-8"))
        return found

    @property
    def where(self) -> str:
        """Words before a text's name that say where it is from, where that is not the stored data."""
        return "" if self.data is not None else "the demo's "

    def learned(self, what: str, learn: Callable[[], Learned]) -> Learned:
        """Return what `learn` returns, from the cache where it is there."""
        if self.cache is None:
            return learn()
        path = self.cache / f"{what.replace(' ', '-').replace('/', '-')}-{self._text:016x}.json"
        if not path.is_file():
            self.cache.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(learn(), ensure_ascii=False), "utf-8")
        found: Learned = json.loads(path.read_text("utf-8"))
        return found

    @cached_property
    def _text(self) -> int:
        """Hash of the learning text, its weights and the numbers wanted."""
        hashed = xxhash.xxh3_64(repr(self.counts).encode())
        for source in self.sources:
            hashed.update(f"{source.name} {source.weight} {len(source.documents)}".encode())
            for text in source.documents:
                hashed.update(text.encode())
        return hashed.intdigest()

    def ours(self, name: str, base: BpeTokenizer, variant: str, count: int) -> BpeTokenizer:
        """Return one of our tokenizers; every number of a base and variant comes from one learning."""
        if (name, variant, count) not in self._made:
            say(f"{name}: learning, {variant} ...")
            pieces = self.learned(f"{name} {variant}", lambda: self._pieces(base, variant))
            for number in self.counts:
                self._made[name, variant, number] = base.extended(pieces[str(number)])
        return self._made[name, variant, count]

    def _pieces(self, base: BpeTokenizer, variant: str) -> dict[str, list[str]]:
        entries = ours.learn_entries(base, self.sources, POLICIES[variant], max(self.counts))
        return {str(number): ours.chosen(base, entries, number, self.sources) for number in self.counts}

    def forget(self, name: str) -> None:
        """Let go of our tokenizers on one base."""
        self._made = {key: made for key, made in self._made.items() if key[0] != name}


@cache
def mistral() -> SpmBpe:
    """Return Mistral's tokenizer."""
    base = open_base("mistral-v1", name=MISTRAL)
    assert isinstance(base, SpmBpe)
    return base


def both_libraries(made: SpmBpe, base: int) -> dict[str, SentencePieceMade | FastMade]:
    """Return one tokenizer in both libraries; its first `base` ids are those of the base."""
    content = json.dumps(tokenizer_json(made.model, base=base))
    return {
        "sentencepiece": SentencePieceMade(made.model),
        "tokenizers": FastMade(Tokenizer.from_str(content)),
    }
