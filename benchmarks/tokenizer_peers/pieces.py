"""Pieces of a SentencePiece model trained on Japanese alone, put into the base.

`score_zero` is how Chinese-LLaMA did it (ymcui/Chinese-LLaMA-Alpaca, scripts/merge_tokenizers.py): every piece that the
base lacks is appended with score 0, above all of the base's. Its chinese_sp.model is Unigram; both kinds are tried here.
`below` is the same pieces in the way that does no harm: those with a character of the script, none that begins or ends a
piece of the base, ranked below it.
"""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tokenizer_peers import SentencePieceMade, Weighed, appended
from watari.pretrained.sentencepiece import Piece, PieceKind, SpmModel, parse_spm
from watari.tokenizer.script import Script

Kind = Literal["unigram", "bpe"]
Pieces = dict[str, list[str]]
"""Pieces that the base lacks, best first, by the number wanted (as a text, for JSON)."""
SPARE = 1.08
"""How many more are learned than are wanted: some of them can do harm, and `harmless` drops those."""
COVERAGE = 0.9995


def learn(base: SpmModel, sources: Sequence[Weighed], sizes: Sequence[int], kind: Kind) -> Pieces:
    """Return the pieces for every size, a few more than it each.

    A BPE model is its characters and as many joins as there is room for, so that one training serves every size. A
    Unigram model is not nested: the smaller ones are pruned on from the larger, as the trainer comes to them by itself.
    Settings are sentencepiece's own, but that the text is not normalised, that long lines are not left out, and that a
    Unigram model is halved in a round instead of cut by a quarter, which takes half the time.
    """
    lines = _lines(sources)
    characters = _characters(lines)
    known = base.ids()
    familiar = sum(character in known for character in characters)
    found: Pieces = {}
    seeds: list[Piece] = []
    for size in sorted(sizes, reverse=True):
        new = round(size * SPARE)
        if kind == "unigram" or not seeds:
            seeds = _train(lines, max(new + familiar, len(characters)) + 16, kind, seeds)
        texts = [piece.text for piece in seeds if piece.text not in known]
        if kind == "bpe":
            texts = [text for text in texts if len(text) == 1] + [text for text in texts if len(text) > 1]
        found[str(size)] = texts[:new]
    return found


def _characters(lines: Counter[str]) -> list[str]:
    """Return the characters that the trainer must take: the most frequent, up to `COVERAGE` of the text."""
    counts: Counter[str] = Counter()
    for line, times in lines.items():
        for character in line:
            counts[character] += times
    left = COVERAGE * sum(counts.values())
    found = []
    for character, times in counts.most_common():
        if left <= 0:
            break
        found.append(character)
        left -= times
    return found


def _train(lines: Counter[str], size: int, kind: Kind, seeds: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of a new model, best first; a Unigram model is pruned from `seeds` where there are any."""
    import sentencepiece

    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        settings = {}
        if seeds:
            path = Path(folder) / "seeds.tsv"
            counts = (f"{piece.text}\t{max(1, round(math.exp(piece.score) * 1e9))}\n" for piece in seeds)
            path.write_text("".join(counts), "utf-8")
            settings["seed_sentencepieces_file"] = str(path)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([f"{line}\t{times}" for line, times in lines.items()]),
            input_format="tsv",
            model_writer=out,
            vocab_size=size,
            model_type=kind,
            character_coverage=COVERAGE,
            normalization_rule_name="identity",
            max_sentence_length=1 << 20,
            hard_vocab_limit=False,
            shrinking_factor=0.5,
            num_threads=os.cpu_count() or 1,
            minloglevel=2,
            **settings,
        )
    pieces = parse_spm(out.getvalue()).pieces
    return [piece for piece in pieces if piece.kind is PieceKind.NORMAL and piece.text.strip()]


def _lines(sources: Sequence[Weighed]) -> Counter[str]:
    """Return every line and what it counts; a tab parts the two in the trainer's input, and becomes a blank."""
    counts: Counter[str] = Counter()
    for source in sources:
        for text in source.documents:
            for line in text.replace("\t", " ").split("\n"):
                if line.strip():
                    counts[line] += source.weight
    return counts


def score_zero(base: SpmModel, pieces: Sequence[str]) -> SentencePieceMade:
    """Return the base with `pieces` appended, all scored 0."""
    return appended(base, pieces, 0.0, 0.0)


def harmless(pieces: Sequence[str], script: Script, ban: frozenset[str]) -> list[str]:
    """Return the pieces that hold a character of the script and no blank, and are not in `ban`."""
    return [text for text in pieces if script.has_strict(text) and "▁" not in text and text not in ban]
