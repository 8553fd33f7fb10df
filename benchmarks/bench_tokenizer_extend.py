"""Learning new Japanese pieces for the real Mistral tokenizer, and what they are worth in use.

Learning: ours goes on from the base's own segmentation; the peer, `tokenizers`' BpeTrainer, learns as many pieces from
nothing and drops the base's. Use: the same pieces, as the extended model against transformers' `add_tokens`, in both ways
to call it: with strings, and with AddedToken(normalized=False).
With WATARI_TEST_DATA set, both are also measured on literature (Aozora Bunko).
"""

from __future__ import annotations

from sides import alternate, arguments, one_thread, tell

one_thread()

import gzip  # noqa: E402  one_thread() comes before every import that starts threads
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers  # noqa: E402

from watari.artifact.outside import packaged_file  # noqa: E402
from watari.demo import documents  # noqa: E402
from watari.pretrained import load_tokenizer  # noqa: E402
from watari.pretrained.fast import write_fast_tokenizer  # noqa: E402
from watari.pretrained.sentencepiece import SpmModel, read_spm  # noqa: E402
from watari.tokenizer.extend import extend_model  # noqa: E402
from watari.tokenizer.script import script_of  # noqa: E402
from watari.tokenizer.spans import collect_spans  # noqa: E402
from watari.tokenizer.train import Limits, banned, learn_pieces  # noqa: E402

SCRIPT = script_of("ja")
LIMITS = Limits(max_length=16, min_frequency=2)


def take(texts: Iterable[str], size: int) -> tuple[list[str], list[str]]:
    """Return texts to learn from, `size` bytes of them, and a tenth as much held out behind them."""
    train: list[str] = []
    held_out: list[str] = []
    taken = 0
    for text in texts:
        (train if taken < size else held_out).append(text)
        taken += len(text.encode("utf-8"))
        if taken >= size * 1.1 and held_out:
            break
    return train, held_out


def demo_texts() -> Iterable[str]:
    """Yield Japanese documents of the little world."""
    return (row["text"] for row in documents(seed=0, count=1_000_000, language="ja", level="full"))


def aozora_texts(data: Path) -> Iterable[str]:
    """Yield stretches of 2,000 characters, each of the first ten rounds from another tenth of the works."""
    with gzip.open(data / "aozora" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        works = [json.loads(line)["text"] for line in lines]
    for start in range(0, max(map(len, works)), 2000):
        for number, work in enumerate(works):
            if number % 10 == start // 2000 % 10 and len(work) > start:
                yield work[start : start + 2000]


def learn(base: SpmModel, texts: list[str], count: int) -> list[str]:
    """Learn as `tokenizer.extend` does, the base's segmentation included."""
    return learn_pieces(collect_spans(base, texts, SCRIPT), SCRIPT, banned(base, SCRIPT), count, LIMITS)


def learn_from_nothing(texts: list[str], longer: int) -> Tokenizer:
    """Learn `longer` pieces of two characters or more with `tokenizers`, within the same stretches and limits."""
    fresh = Tokenizer(models.BPE())
    stretch = Regex(SCRIPT.strict.pattern + "+")
    fresh.pre_tokenizer = pre_tokenizers.Split(stretch, "removed", invert=True)
    trainer = trainers.BpeTrainer(
        # Its size counts the characters, every one of which it takes first.
        vocab_size=len({character for text in texts for character in SCRIPT.strict.findall(text)}) + longer,
        min_frequency=LIMITS.min_frequency,
        max_token_length=LIMITS.max_length,
        show_progress=False,
    )
    fresh.train_from_iterator(texts, trainer)
    return fresh


def used(tokenizer: Any, texts: list[str]) -> tuple[float, float]:
    """Return characters per token, and the share of `texts` that come back from decode(encode(text)) as they were."""
    tokens = same = 0
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        tokens += len(ids)
        same += tokenizer.decode(ids) == text
    return sum(map(len, texts)) / tokens, same / len(texts)


def compare(name: str, texts: Iterable[str], size: int, pieces_wanted: int, repeats: int) -> None:
    """Measure one corpus and print its claims."""
    path = packaged_file("package://mistral-v1")
    base = read_spm(path)
    train, held_out = take(texts, size)
    pieces = learn(base, train, pieces_wanted)
    longer = sum(len(piece) > 1 for piece in pieces)
    fresh = learn_from_nothing(train, longer).get_vocab()
    mine, theirs = alternate(
        lambda: learn(base, train, pieces_wanted),
        lambda: learn_from_nothing(train, longer),
        repeats=repeats,
        warm_up=False,
    )
    corpus = f"{name}, {sum(len(text.encode('utf-8')) for text in train) / 1e6:.1f} MB"
    tell(
        f"learning pieces, {name}",
        mine,
        theirs,
        unit="CPU s",
        peer_packages=("tokenizers",),
        sizes=f"{corpus}; {len(pieces):,} pieces, {longer:,} of them longer than a character, on Mistral's {len(base):,}; "
        f"the peer's BpeTrainer learns a tokenizer of {len(fresh):,} pieces, {sum(len(t) > 1 for t in fresh):,} of them "
        "longer, from nothing and drops the base's",
    )
    with tempfile.TemporaryDirectory() as folder:
        write_fast_tokenizer(base, Path(folder) / "base")
        write_fast_tokenizer(extend_model(base, pieces), Path(folder) / "extended", base=len(base))
        ours = used(load_tokenizer(Path(folder) / "extended"), held_out)
        before = used(load_tokenizer(Path(folder) / "base"), held_out)
        held = (
            f"{corpus}, {len(pieces):,} pieces; {len(held_out):,} held-out texts of {sum(map(len, held_out)):,} "
            f"characters; base: {before[0]:.3f} characters per token"
        )
        for way, given in (
            ("add_tokens(strings)", list(pieces)),
            ("add_tokens(normalized=False)", [AddedToken(piece, normalized=False) for piece in pieces]),
        ):
            added: Any = load_tokenizer(Path(folder) / "base")
            added.add_tokens(given)
            theirs_used = used(added, held_out)
            for place, claim, unit in (
                (0, "compression", "characters per token"),
                (1, "round trip", "share of texts that decode(encode(x)) gives back"),
            ):
                tell(
                    f"{claim} against {way}, {name}",
                    ours[place],
                    theirs_used[place],
                    unit=unit,
                    peer_packages=("transformers", "tokenizers"),
                    sizes=held,
                    less_is_better=False,
                )


def main() -> None:
    """Measure the demo's Japanese, and literature where it is at hand."""
    options = arguments(__doc__)
    size, pieces = (30_000, 100) if options.quick else (1_000_000, 4_000)
    repeats = options.repeats or (1 if options.quick else 3)
    compare("demo Japanese", demo_texts(), size, pieces, repeats)
    data = os.environ.get("WATARI_TEST_DATA")
    if data and not options.quick:
        compare("Aozora Bunko", aozora_texts(Path(data)), 2 * size, pieces, repeats)


if __name__ == "__main__":
    main()
