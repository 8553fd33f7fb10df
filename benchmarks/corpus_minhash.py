"""MinHash and near duplicates: signatures beside rensa and datatrove, what is found and what is wrongly
found.

Text: Aozora's works, the Japanese side of the Kyoto articles (their sentences joined by nothing) and the
paragraphs of `ja-text`, from WATARI_TEST_DATA. All sides make 112 permutations. datatrove's Japanese words
need `spacy[ja]`; where that is installed elsewhere, name the folder with --packages. Without it its words are
single characters in fives, which is said in the claim and is faster for it.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sides

sides.one_thread()

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import xxhash  # noqa: E402

from watari.artifact.stage import Silent  # noqa: E402
from watari.corpus import dedup  # noqa: E402
from watari.corpus.dedup.arrays import Arrays  # noqa: E402
from watari.corpus.dedup.edges import edges_file, unpacked  # noqa: E402
from watari.kernels import lsh, minhash  # noqa: E402
from watari.kernels.texts import Texts  # noqa: E402

WORDS = 112
LENGTH = 5
DATATROVE = dedup.DedupParams(bands=14, rows=8)


def main() -> None:
    """Print every claim."""
    options = sides.arguments(__doc__, _more)
    if options.packages:
        sys.path.append(options.packages)
    books, articles, paragraphs = _texts(options.quick)
    repeats = options.repeats or (1 if options.quick else 5)
    size = _megabytes(books + articles)
    sizes = f"{len(books) + len(articles):,} documents, {size:.1f} MB of UTF-8"
    column = pa.chunked_array([pa.array(books + articles, pa.large_string())])
    _beside_rensa(books + articles, column, repeats, sizes)
    _beside_numpy(column, size, repeats, sizes)
    _beside_datatrove(books[:60], articles[: 60 if options.quick else 1200], column, size, repeats)
    _recall(books, articles, paragraphs, 60 if options.quick else 1500)
    _false_pairs(books, articles, paragraphs)
    _chance(options.quick)
    _buckets(20_000 if options.quick else 1_000_000)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--packages", help="a folder with spacy[ja], looked into last")


def _texts(quick: bool) -> tuple[list[str], list[str], list[str]]:
    folder = Path(os.environ["WATARI_TEST_DATA"])

    def rows(name: str, most: int) -> list[Any]:
        with gzip.open(folder / name) as file:
            return [json.loads(line) for line in itertools.islice(file, most if quick else None)]

    return (
        [row["text"] for row in rows("aozora/docs.jsonl.gz", 40)],
        ["".join(row["ja"]) for row in rows("kyoto-wiki/docs.jsonl.gz", 300)],
        [row["text"] for row in rows("ja-text/ja_wikipedia_paragraphs.jsonl.gz", 300)],
    )


def _megabytes(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def _signed(column: pa.ChunkedArray) -> np.ndarray:
    return minhash.signatures(Texts.from_arrow(column), length=LENGTH, count=WORDS)


def _shingles(text: str) -> list[str]:
    return [text[place : place + LENGTH] for place in range(len(text) - LENGTH + 1)]


def _beside_rensa(texts: list[str], column: pa.ChunkedArray, repeats: int, sizes: str) -> None:
    """From the text; from shingles cut beforehand (its own time alone); from hashes made beforehand."""
    from rensa import RMinHash

    def strings() -> None:
        for start in range(0, len(texts), 100):
            RMinHash.digest_matrix_from_token_sets(map(_shingles, texts[start : start + 100]), WORDS, 1)

    told: dict[str, Any] = {"unit": "CPU s", "peer_packages": ("rensa",), "sizes": sizes}
    ours, peer = sides.alternate(lambda: _signed(column), strings, repeats=repeats)
    sides.tell(
        "MinHash signatures of texts: peer cuts shingles in Python, hashes strings", ours, peer, **told
    )
    spent: list[float] = []
    for start in range(0, len(texts), 100):
        cut = [_shingles(text) for text in texts[start : start + 100]]
        began = time.process_time()
        RMinHash.digest_matrix_from_token_sets(cut, WORDS, 1)
        spent.append(time.process_time() - began)
    sides.tell(
        "MinHash signatures of texts: peer's shingles cut beforehand, not counted", ours, sum(spent), **told
    )
    hashes = [np.array(list(map(hash, _shingles(text))), np.int64).view(np.uint64) for text in texts]
    flat = np.concatenate(hashes)
    ends = np.concatenate([[0], np.cumsum([len(part) for part in hashes])]).astype(np.uint64)
    ours, peer = sides.alternate(
        lambda: _signed(column),
        lambda: RMinHash.digest_matrix_from_flat_token_hashes(flat, ends, WORDS, 1),
        repeats=repeats,
    )
    sides.tell("MinHash signatures: ours from text, peer from hashes made beforehand", ours, peer, **told)


@contextmanager
def _numpy() -> Iterator[None]:
    os.environ["WATARI_KERNELS"] = "numpy"
    try:
        yield
    finally:
        del os.environ["WATARI_KERNELS"]


def _beside_numpy(column: pa.ChunkedArray, size: float, repeats: int, sizes: str) -> None:
    def plain() -> np.ndarray:
        with _numpy():
            return _signed(column)

    if not np.array_equal(plain(), _signed(column)):
        raise SystemExit("numpy's signatures are not numba's")
    ours, peer = sides.alternate(lambda: _signed(column), plain, repeats=repeats)
    sides.tell(
        "MinHash signatures: numba, and numpy alone (same bytes)",
        size / ours,
        size / peer,
        unit="MB/s",
        peer_packages=("numpy",),
        sizes=sizes,
        less_is_better=False,
    )


def _step(folder: str) -> tuple[Any, str]:
    """Return datatrove's step, and what its words are."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    config = MinhashConfig(n_grams=5, num_buckets=DATATROVE.bands, hashes_per_bucket=DATATROVE.rows)
    if find_spec("spacy") is not None and find_spec("sudachipy") is not None:
        step = MinhashDedupSignature(folder, config, language="jpn_Jpan")
        step.word_tokenizer.word_tokenize("温める")
        words = "5 of its Japanese words (spaCy, Sudachi)"
    else:
        step = MinhashDedupSignature(folder, config, language="english")
        step.word_tokenizer = _Characters()
        words = "5 characters given as its words (spacy[ja] is not installed)"
    # Its own function, xxh64 of a string, fails with xxhash 4, which takes bytes only.
    step._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())
    return step, words


class _Characters:
    def word_tokenize(self, text: str) -> list[str]:
        return list(text)


def _beside_datatrove(
    books: list[str], articles: list[str], column: pa.ChunkedArray, size: float, repeats: int
) -> None:
    """Each side's whole step: signatures, written, bands sorted; the peer on fewer documents."""
    from datatrove.data import Document
    from datatrove.utils.logging import logger

    logger.remove()
    texts = [text[:20_000] for text in books] + articles
    keys = [xxhash.xxh3_128_hexdigest(str(place).encode()) for place in range(len(column))]
    table = pa.table({"key": keys, "source": ["web"] * len(keys), "text": column})
    with tempfile.TemporaryDirectory() as folder:
        step, words = _step(f"{folder}/peer")
        documents = [Document(text=text, id=str(place)) for place, text in enumerate(texts)]
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        for number in range(max(1, repeats // 2)):
            began = time.process_time()
            step.run(iter(documents), number)
            seconds["peer"].append(time.process_time() - began)
            for _ in range(3):
                began = time.process_time()
                dedup.write_arrays(Path(folder, "ours"), 0, _batched(table), DATATROVE)
                seconds["ours"].append(time.process_time() - began)
        sides.tell(
            f"MinHash step with its files, 14 x 8: peer's shingles are {words}",
            size / statistics.median(seconds["ours"]),
            _megabytes(texts) / statistics.median(seconds["peer"]),
            unit="MB/s",
            peer_packages=("datatrove",),
            sizes=f"ours {len(keys):,} documents, {size:.1f} MB;"
            f" peer {len(texts):,}, {_megabytes(texts):.1f} MB",
            less_is_better=False,
        )


def _batched(table: pa.Table) -> list[pa.Table]:
    return [table.slice(start, 1000) for start in range(0, table.num_rows, 1000)]


def _edited(text: str, share: float, rng: np.random.Generator, letters: str) -> str:
    """Return the text with a share of its characters replaced, dropped or doubled up, a third each."""
    draws = rng.random(len(text)) / share
    other = rng.integers(len(letters), size=len(text))
    found = []
    for character, draw, place in zip(text, draws.tolist(), other.tolist(), strict=True):
        if draw >= 1 / 3:
            found.append("" if draw < 2 / 3 else character)
        if draw < 1 / 3 or 2 / 3 <= draw < 1:
            found.append(letters[place])
    return "".join(found)


def _recall(books: list[str], articles: list[str], paragraphs: list[str], most: int) -> None:
    """Share of copies that meet their original, by kind of document; ours after the check."""
    from rensa import RMinHash

    ours = dedup.DedupParams()
    with tempfile.TemporaryDirectory() as folder:
        step, words = _step(folder)
        kinds = {
            "works cut at 20,000 characters": [text[:20_000] for text in books][: most // 5],
            "articles of 400 characters or more": [text for text in articles if len(text) >= 400][:most],
            "paragraphs of 100 to 400 characters": [text for text in paragraphs if 100 <= len(text) <= 400][
                :most
            ],
        }
        for kind, texts in kinds.items():
            for share in (0.005, 0.02):
                rng = np.random.default_rng(5)
                copies = [_edited(text, share, rng, articles[0]) for text in texts]
                sizes = f"{len(texts):,} {kind}, {share:.1%} of characters edited"
                told: dict[str, Any] = {"unit": "share found", "sizes": sizes, "less_is_better": False}
                length8 = ours.model_copy(update={"shingle": 8})
                found = _found(texts, copies, ours)
                for label, other in (("14 bands of 8", DATATROVE), ("shingles of 8 characters", length8)):
                    name = f"near duplicates found, {ours.bands} x {ours.rows}, checked; beside {label}"
                    sides.tell(name, found, _found(texts, copies, other), peer_name="ours", **told)
                rensa = [_rows(RMinHash, part) for part in (texts, copies)]
                peer = _met(*rensa, DATATROVE).mean()
                sides.tell(
                    "near duplicates found; peer 14 x 8, unchecked",
                    found,
                    peer,
                    peer_packages=("rensa",),
                    **told,
                )
                if share == 0.02:
                    few = slice(0, 300)
                    signed = [
                        np.array([step.get_signature(step.get_shingles(text)) for text in part[few]])
                        for part in (texts, copies)
                    ]
                    peer = _met(*signed, DATATROVE).mean()
                    name = f"near duplicates found; peer's shingles are {words}"
                    sides.tell(name, found, peer, peer_packages=("datatrove",), **told)


def _rows(kind: Any, texts: list[str]) -> np.ndarray:
    return np.array(kind.digest_matrix_from_token_sets(map(_shingles, texts), WORDS, 1).to_rows(), np.uint32)


def _met(one: np.ndarray, other: np.ndarray, params: dedup.DedupParams) -> np.ndarray:
    same = (one == other).reshape(len(one), params.bands, params.rows)
    met: np.ndarray = same.all(axis=2).any(axis=1)
    return met


def _found(texts: list[str], copies: list[str], params: dedup.DedupParams) -> float:
    one, other = (
        minhash.signatures(Texts.of(part), length=params.shingle, count=params.words)
        for part in (texts, copies)
    )
    return float((_met(one, other, params) & ((one == other).mean(axis=1) >= params.threshold)).mean())


def _false_pairs(books: list[str], articles: list[str], paragraphs: list[str]) -> None:
    """Pairs of different texts of a true similarity below .5 among those told to be near duplicates."""
    originals = books + articles + [text for text in paragraphs if len(text) >= 50]
    rng = np.random.default_rng(9)
    texts = originals + [_edited(text, 0.02, rng, articles[0]) for text in articles]
    params = dedup.DedupParams()
    keys = [xxhash.xxh3_128_hexdigest(str(place).encode()) for place in range(len(texts))]
    table = pa.table({"key": keys, "source": ["web"] * len(keys), "text": pa.array(texts, pa.large_string())})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dedup.write_arrays(folder, 0, _batched(table), params)
        checked: set[tuple[int, int]] = set()
        for task in range(dedup.edge_tasks(folder, 1, params)):
            dedup.find_edges(folder, task, params)
            left, right = unpacked(np.fromfile(edges_file(folder, "near", task), np.uint64))
            checked |= set(zip(left.tolist(), right.tolist(), strict=True))
        signature = Arrays.of(folder, 1, params).signature(np.arange(len(texts)))
    unchecked = set()
    for band in lsh.band_keys(signature, params.bands, params.rows):
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        for group in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
            unchecked |= set(itertools.combinations(sorted(group.tolist())[:50], 2))
    unchecked = {pair for pair in unchecked if texts[pair[0]] != texts[pair[1]]}

    def false(pairs: set[tuple[int, int]]) -> float:
        return sum(_jaccard(texts[a], texts[b]) < 0.5 for a, b in pairs) / max(1, len(pairs))

    sides.tell(
        "share of false pairs (J < .5): checked, beside unchecked ones of the same bands",
        false(checked),
        false(unchecked),
        unit="share of pairs",
        peer_name="ours, unchecked",
        sizes=f"{len(texts):,} documents; {len(checked):,} checked pairs, {len(unchecked):,} unchecked ones",
    )


def _jaccard(one: str, other: str) -> float:
    left, right = (set(_shingles("".join(text.split()))) for text in (one, other))
    return len(left & right) / max(1, len(left | right))


def _chance(quick: bool) -> None:
    """How often two unrelated articles are compared, from the similarities of 200,000 random pairs."""
    with gzip.open(Path(os.environ["WATARI_TEST_DATA"]) / "kyoto-wiki/docs.jsonl.gz") as file:
        rows = [json.loads(line) for line in itertools.islice(file, 300 if quick else 3000)]
    params = dedup.DedupParams()
    one, other = np.random.default_rng(1).integers(0, len(rows), (2, 200_000))
    one, other = one[one != other], other[one != other]
    for length in (params.shingle, 8):
        chances = []
        for texts in (["".join(row["ja"]) for row in rows], [" ".join(row["en"]) for row in rows]):
            signature = minhash.signatures(Texts.of(texts), length=length, count=params.words)
            similarity = minhash.agreement(signature, one, other) / params.words
            chances.append(float(np.mean(1 - (1 - similarity**params.rows) ** params.bands)))
        sides.tell(
            f"chance that two random articles are compared, shingles of {length}: Japanese, beside English",
            *chances,
            unit="probability",
            peer_name="ours, on English",
            sizes=f"{len(rows):,} articles of each language",
        )


def _buckets(documents: int) -> None:
    """LSH, checking and union-find, from signatures on disk to decisions; a third are duplicates."""
    params = dedup.DedupParams()
    pieces = 20

    def course(folder: Path) -> dedup.DedupResult:
        for task in range(dedup.edge_tasks(folder, pieces, params)):
            dedup.find_edges(folder, task, params)
        return dedup.resolve(folder, params, Silent())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _made_up(folder, documents, pieces, params)
        course(folder)
        began = time.process_time()
        result = course(folder)
        ours = time.process_time() - began
        began = time.process_time()
        with _numpy():
            if course(folder) != result:
                raise SystemExit("numpy's decisions are not numba's")
        peer = time.process_time() - began
    sides.tell(
        "LSH, checked pairs, union-find and decisions: numba, and numpy alone (same result)",
        ours,
        peer,
        unit="CPU s",
        peer_packages=("numpy",),
        sizes=f"{documents:,} made-up signatures, {result.near:,} near and {result.exact:,} exact duplicates",
    )


def _made_up(folder: Path, documents: int, pieces: int, params: dedup.DedupParams) -> None:
    """Write the arrays of made-up texts: numbers in letters, a third of them the start of another's."""
    rng = np.random.default_rng(1)
    for piece in range(pieces):
        count = documents // pieces
        number = rng.integers(0, documents * 5 // 4, count)
        noise = rng.integers(0, 4, count)
        texts = [_letters(base, extra) for base, extra in zip(number.tolist(), noise.tolist(), strict=True)]
        keys = [xxhash.xxh3_128_hexdigest(f"{piece}/{place}".encode()) for place in range(count)]
        table = pa.table({"key": keys, "source": ["web"] * count, "text": pa.array(texts, pa.large_string())})
        dedup.write_arrays(folder, piece, [table], params)


def _letters(base: int, extra: int) -> str:
    digits = "".join(xxhash.xxh3_128_hexdigest(f"{base}/{part}".encode()) for part in range(3))
    return digits + "一二三四"[extra] * extra


if __name__ == "__main__":
    main()
