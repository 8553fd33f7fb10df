"""Profiles that need words: MB of UTF-8 text that a core filters in a second, beside datatrove's filters on the same text.

Both sides filter the same documents by the same rules: the English profile on books cut into pages and on the English
side of the Kyoto articles, the Japanese one on its Japanese side (a sentence a line). The peer is datatrove with its own
words (spaCy; for Japanese SudachiPy inside spaCy), one document at a time, as its executors call it. How many documents
get another verdict is told too. Needs datatrove and spaCy, and SudachiPy for Japanese: neither side is left out.

    WATARI_TEST_DATA=... python benchmarks/corpus_words.py [--quick] [--repeats N]
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sides import alternate, arguments, one_thread, tell

one_thread()

import pyarrow as pa  # noqa: E402

from watari.corpus.rules.apply import apply  # noqa: E402
from watari.corpus.rules.profile import Profile, load_profile  # noqa: E402
from watari.corpus.table import WORKING  # noqa: E402

BATCH = 4_096
"""Rows a table, as the stage has them."""


def table(texts: Sequence[str]) -> pa.Table:
    """Return texts as a working table."""
    columns = {field.name: pa.nulls(len(texts), field.type) for field in WORKING}
    columns["key"] = pa.array([f"{row:08}" for row in range(len(texts))], pa.string())
    columns["text"] = pa.array(texts, pa.large_string())
    return pa.table(columns, schema=WORKING)


def documents(folder: Path, name: str, side: str, megabytes: float) -> list[str]:
    """Return documents of about so many MB, spread over the whole set."""
    found: list[str] = []
    with gzip.open(folder / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "text" in row:
                text = row["text"].replace("\r\n", "\n")
                found.extend(text[start : start + 3_000] for start in range(0, len(text), 3_000))
            else:
                found.append("\n".join(row[side]))
    size = sum(len(text.encode()) for text in found) / 1e6
    step = max(1, round(size / megabytes))
    return found[::step]


def ours(texts: Sequence[str], profile: Profile) -> list[bool]:
    """Return which texts our rules keep."""
    kept: list[bool] = []
    for start in range(0, len(texts), BATCH):
        found = apply(table(texts[start : start + BATCH]), profile)
        kept.extend(reason is None for reason in found.column("reason").to_pylist())
    return kept


def datatroves(profile: Profile) -> Callable[[Sequence[str]], list[bool]]:
    """Return datatrove's filters with the limits of a profile."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter

    rules = {rule.name: rule for rule in profile.rules}
    filters: list[Any]
    if profile.language == "en":
        filters = [GopherRepetitionFilter(), GopherQualityFilter()]
    else:
        filters = [
            GopherRepetitionFilter(
                language="jpn_Jpan",
                dup_para_frac=0,
                dup_line_char_frac=0,
                dup_para_char_frac=0,
                dup_line_frac=rules["duplicate lines"].max,
                top_n_grams=[(rule.n, rule.max) for rule in profile.rules if rule.metric == "top_ngram"],
                dup_n_grams=[
                    (rule.n, rule.max) for rule in profile.rules if rule.metric == "duplicate_ngrams"
                ],
            ),
            FineWebQualityFilter(
                language="jpn_Jpan",
                short_line_thr=999,
                char_duplicates_ratio=rules["duplicate line characters"].max,
                line_punct_thr=rules["punctuated lines"].min,
                new_line_ratio=rules["line feeds"].max,
            ),
            GopherQualityFilter(
                language="jpn_Jpan",
                max_avg_word_length=rules["word length"].max,
                min_avg_word_length=rules["word length"].min,
                stop_words=list(rules["stop words"].words),
                max_non_alpha_words_ratio=rules["letters"].min,
            ),
        ]

    def kept(texts: Sequence[str]) -> list[bool]:
        # A text that one filter drops is not shown to the next one, as in a pipeline.
        return [all(one.filter(Document(text=text, id="")) is True for one in filters) for text in texts]

    return kept


def compare(folder: Path, name: str, side: str, profile_name: str, megabytes: float, repeats: int) -> None:
    """Measure both sides on one set of documents and print the claim."""
    profile = load_profile(profile_name)
    texts = documents(folder, name, side, megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    kept: dict[str, list[bool]] = {}
    peer = datatroves(profile)

    def mine() -> None:
        kept["ours"] = ours(texts, profile)

    def theirs() -> None:
        kept["peer"] = peer(texts)

    ours(texts[:64], profile)
    peer(texts[:4])
    # Not warmed up on the text itself: what strings are split into is remembered.
    seconds = alternate(mine, theirs, repeats=repeats, warm_up=False)
    other = sum(one != two for one, two in zip(kept["ours"], kept["peer"], strict=True))
    tell(
        f"rules of {profile_name} on {name}",
        size / seconds[0],
        size / seconds[1],
        unit="MB/s a core",
        peer_name="filters of",
        peer_packages=(
            "datatrove",
            "spacy",
            *(("sudachipy", "sudachidict_core") if profile.language == "ja" else ()),
        ),
        sizes=f"{len(texts)} documents, {size:.1f} MB; {sum(kept['ours'])} kept; {other} with another verdict",
        less_is_better=False,
    )


def main() -> None:
    """Measure each profile on its sets."""
    args = arguments(__doc__)
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        raise SystemExit("set WATARI_TEST_DATA to the folder of test data")
    repeats = args.repeats or (1 if args.quick else 3)
    for name, side, profile, megabytes in (
        ("en-books", "en", "en-gopher", 6.0),
        ("kyoto-wiki", "en", "en-gopher", 6.0),
        ("kyoto-wiki", "ja", "ja-fineweb2", 2.0),
    ):
        compare(Path(data), name, side, profile, 0.3 if args.quick else megabytes, repeats)


if __name__ == "__main__":
    main()
