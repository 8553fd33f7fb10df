"""Plain continued byte-pair encoding, as in taidopurason/tokenizer-extension (arXiv 2512.03989).

Merging goes on from the base's own tokens, within groups that end at a blank, at a number, at a byte token and where the
Unicode script changes (kana count as Han; punctuation is Common); characters that the base lacks come first, as many as
cover 99.95 % of the text (`train_coverage_extension`). New pieces are scored from the lowest score of the base downward
by ones (`extend_sp_model`), which in Llama and Mistral is -1e9, where float32 cannot tell neighbours apart.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tokenizer_peers import SentencePieceMade, Weighed, appended
from watari.pretrained.sentencepiece import SPACE, Piece, PieceKind, SpmModel

COVERAGE = 0.9995
_FIRST = 0xF0000
"""Every base token stands for itself as one private character of planes 15 and 16 while pieces are learned."""


def learn(base: SpmModel, sources: Sequence[Weighed], most: int) -> list[str]:
    """Return up to `most` new pieces, in their order; the first k are a run for fewer."""
    characters = _uncovered(base, sources)
    lowest = min(piece.score for piece in base.pieces)
    covered = base.extended([Piece(character, lowest) for character in characters])
    groups = _groups(covered, sources)
    alphabet = set().union(*groups)
    trainer = trainers.BpeTrainer(
        # One string can be reached from different tokens of the base: it is one piece in the end.
        vocab_size=len(alphabet) + most + most // 4 + 100,
        show_progress=False,
    )
    fresh = Tokenizer(models.BPE())
    # Unigram counts cannot be handed to the trainer, so a group is repeated as often as it occurs, up to its blank.
    fresh.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    fresh.train_from_iterator(_repeated(groups), trainer)
    vocabulary = fresh.get_vocab()
    known = set(covered.ids())
    texts = [piece.text for piece in covered.pieces]
    found: dict[str, None] = dict.fromkeys(characters)
    for entry in sorted(vocabulary, key=vocabulary.__getitem__):
        text = "".join(texts[ord(symbol) - _FIRST] for symbol in entry)
        if text not in known:
            found[text] = None
    return list(found)[:most]


def extend(base: SpmModel, pieces: Sequence[str]) -> SentencePieceMade:
    """Return the base with `pieces` scored one below the one before, from one below its lowest."""
    return appended(base, pieces, min(piece.score for piece in base.pieces) - 1, -1.0)


def _uncovered(base: SpmModel, sources: Sequence[Weighed]) -> list[str]:
    """Return the most frequent characters that the base lacks, until `COVERAGE` of the text is covered."""
    counts: Counter[str] = Counter()
    for source in sources:
        own: Counter[str] = Counter()
        for text in source.documents:
            own.update(text)
        counts.update({character: times * source.weight for character, times in own.items()})
    for blank in (" ", "\n", "\r", "\t"):
        counts.pop(blank, None)
    known = base.ids()
    total = sum(counts.values())
    covered = sum(times for character, times in counts.items() if character in known)
    found = []
    for character, times in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= COVERAGE * total:
            break
        if character not in known:
            found.append(character)
            covered += times
    return found


def _groups(model: SpmModel, sources: Sequence[Weighed]) -> Counter[str]:
    """Return how often each group of tokens occurs, as private characters."""
    processor = model.processor()
    alone = [
        piece.kind is not PieceKind.NORMAL or (len(piece.text) == 1 and piece.text in "0123456789")
        for piece in model.pieces
    ]
    opens = [piece.text.startswith(SPACE) for piece in model.pieces]
    scripts = [("", "") if alone[i] else _ends(piece.text) for i, piece in enumerate(model.pieces)]
    counts: Counter[str] = Counter()
    for source in sources:
        own: Counter[str] = Counter()
        for text in source.documents:
            group: list[str] = []
            before = ""
            for token in processor.encode(text):
                first, last = scripts[token]
                if group and (alone[token] or opens[token] or first != before):
                    own["".join(group)] += 1
                    group = []
                if not alone[token]:
                    group.append(chr(_FIRST + token))
                before = last
            if group:
                own["".join(group)] += 1
        for key, times in own.items():
            counts[key] += times * source.weight
    return counts


def _repeated(groups: Counter[str]) -> Iterator[str]:
    for group, times in groups.items():
        if len(group) > 1 or times == 1:
            while times > 0:
                yield " ".join([group] * min(times, 1000))
                times -= 1000


def _ends(piece: str) -> tuple[str, str]:
    """Return the scripts of the first and the last character of a piece, a leading blank not counted."""
    text = piece.lstrip(SPACE) or SPACE
    return _script(text[0]), _script(text[-1])


@cache
def _script(character: str) -> str:
    """Return a character's script as its Unicode name tells it; kana and Han are one, as are all that are no letters."""
    if unicodedata.category(character)[0] not in "LM" or character in "ー・":
        return "common"
    word = unicodedata.name(character, "unknown").split()[0]
    return "HAN" if word in ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH", "IDEOGRAPHIC") else word
