"""Selection by likeness to a target, beside the `data-selection` package's HashedNgramDSIR, on the same rows and target.

Rows: paragraphs of JSQuAD's test set, planted among whole articles of the Kyoto corpus (their sentences joined by nothing)
and the beginnings of Aozora pages; the target is JSQuAD's validation set. Both sides read a .jsonl file, fit, weigh every row,
take the 200 highest weights (no noise) and write them to a .jsonl file; CPU time of that, and how many of the 200 were
planted. The articles are encyclopaedia text like the target: they are the hard part,
and harder where only 300 paragraphs are planted.

    WATARI_TEST_DATA=… python benchmarks/corpus_selection.py [--quick] [--repeats 3]
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from sides import alternate, arguments, one_thread, tell

one_thread()
os.environ |= {"NUMBA_NUM_THREADS": "1", "TQDM_DISABLE": "1"}

PICKS = 200
FEW = 300


@dataclass(frozen=True)
class Rows:
    """What both sides are given.

    Args:
        raw: .jsonl of {id, text, planted}.
        target: .jsonl of {id, text}.
        megabytes: Of UTF-8 text in `raw`.
        documents: In `raw`.
        planted: Of them.
    """

    raw: Path
    target: Path
    megabytes: float
    documents: int
    planted: int

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return f"{self.documents:,} documents, {self.megabytes:.1f} MB, {self.planted:,} planted"


def main() -> None:
    """Print the claims."""
    options = arguments(__doc__)
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        sys.exit("WATARI_TEST_DATA is not set: the folder of real data")
    articles = 300 if options.quick else 3000
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = made_rows(Path(data), folder, articles)
        times(rows, folder, 1 if options.quick else options.repeats or 3)
        precisions(rows, folder)
        few = made_rows(Path(data), folder, articles, FEW)
        precisions(few, folder)


def times(rows: Rows, folder: Path, repeats: int) -> None:
    """Measure both sides and print the claim."""
    out, stock = folder / "ours.jsonl", folder / "stock"
    ours, peer = alternate(lambda: select(rows, out), lambda: stock_select(rows, stock), repeats=repeats)
    tell(
        "DSIR: read, fit, weigh, choose and write",
        ours,
        peer,
        unit="CPU s",
        peer_packages=("data-selection",),
        peer_name="HashedNgramDSIR, words, 10,000 buckets,",
        sizes=rows.sizes,
    )


def precisions(rows: Rows, folder: Path) -> None:
    """Print the share of planted rows among the picks, ours in several forms beside the peer's two."""
    out, stock = folder / "ours.jsonl", folder / "stock"
    stock_select(rows, stock)
    as_it_comes = precision(stock)
    stock_select(rows, stock, min_example_length=1)
    any_length = precision(stock)
    forms: tuple[tuple[str, dict[str, Any]], ...] = (
        ("as it comes (mean over n-grams)", {}),
        ("10,000 buckets", {"buckets": 10_000}),
        ("sum over n-grams", {"normalise": "none"}),
        ("sum over n-grams, 10,000 buckets", {"normalise": "none", "buckets": 10_000}),
        ("a sample with the default noise", {"noise": None}),
    )
    for name, more in forms:
        select(rows, out, **more)
        for peer_name, peer in (("as it comes", as_it_comes), ("min_example_length=1", any_length)):
            tell(
                f"DSIR: precision@{PICKS}, {name}",
                precision(out),
                peer,
                unit="share planted",
                peer_packages=("data-selection",),
                peer_name=f"HashedNgramDSIR {peer_name},",
                sizes=rows.sizes,
                less_is_better=False,
            )
            if more:
                break


def select(rows: Rows, out: Path, **more: Any) -> None:
    """Our side: write the picks to `out`."""
    import orjson
    import pyarrow as pa

    from watari.corpus import selection
    from watari.corpus.names import keys_of

    params = selection.SelectionParams(**({"keep": {"documents": PICKS}, "noise": 0} | more))

    def table(path: Path) -> tuple[list[bytes], pa.Table]:
        lines = path.read_bytes().splitlines()
        found = [orjson.loads(line) for line in lines]
        columns = {
            "key": [row["id"] for row in found],
            "text": pa.array([row["text"] for row in found], pa.large_string()),
            "language": ["ja"] * len(found),
        }
        return lines, pa.table(columns)

    lines, raw = table(rows.raw)
    target = selection.counts(table(rows.target)[1], params)
    ratios = selection.ratios(selection.counts(raw, params), target, params)
    scored = selection.score(raw, ratios, params, seed=0)
    choice = selection.choose([scored], [keys_of(raw.column("key"))], ratios.languages, params)
    (kept,) = choice.kept
    out.write_bytes(b"".join(line + b"\n" for line, keep in zip(lines, kept, strict=True) if keep))


def stock_select(rows: Rows, out: Path, **more: Any) -> None:
    """The peer: write the picks below `out`."""
    from data_selection import HashedNgramDSIR

    shutil.rmtree(out, ignore_errors=True)
    cache = out.with_name("cache")
    shutil.rmtree(cache, ignore_errors=True)
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        dsir = HashedNgramDSIR([str(rows.raw)], [str(rows.target)], cache_dir=str(cache), num_proc=1, **more)
        dsir.fit_importance_estimator(num_tokens_to_fit="all")
        dsir.compute_importance_weights()
        dsir.resample(out_dir=str(out), num_to_sample=PICKS, cache_dir=str(cache / "resampled"), top_k=True)


def precision(out: Path) -> float:
    """Return the share of planted rows among the picks in a file, or in the files of a folder."""
    files = sorted(out.rglob("*.jsonl")) if out.is_dir() else [out]
    found = [json.loads(line)["planted"] for file in files for line in file.read_text("utf-8").splitlines()]
    return sum(found) / len(found)


def made_rows(data: Path, folder: Path, articles: int, planting: int | None = None) -> Rows:
    """Write both files: `articles` of the Kyoto corpus, as many Aozora pages, `planting` paragraphs (default: all)."""
    from watari.artifact.hashing import hash_text

    target = _paragraphs(data, "valid")
    planted = sorted(set(_paragraphs(data, "test")) - set(target), key=hash_text)[:planting]
    kyoto = ("".join(row["ja"]) for row in _lines(data / "kyoto-wiki/docs.jsonl.gz"))
    aozora = (row["text"][:4000] for row in _lines(data / "aozora/docs.jsonl.gz"))
    others = [text for text, _ in zip(kyoto, range(articles), strict=False)]
    others += [text for text, _ in zip(aozora, range(articles), strict=False)]
    rows = [(text, False) for text in others] + [(text, True) for text in planted]
    rows.sort(key=lambda row: hash_text(row[0]))
    raw, wanted = folder / "raw.jsonl", folder / "target.jsonl"
    _write(raw, ({"id": hash_text(text), "text": text, "planted": found} for text, found in rows))
    _write(wanted, ({"id": hash_text(text), "text": text} for text in target))
    megabytes = sum(len(text.encode()) for text, _ in rows) / 1e6
    return Rows(raw, wanted, megabytes, len(rows), len(planted))


def _paragraphs(data: Path, part: str) -> list[str]:
    with gzip.open(data / f"jglue/jsquad_{part}-v1.3.json.gz", "rt", encoding="utf-8") as handle:
        articles = json.load(handle)["data"]
    return sorted(
        {p["context"].split("[SEP]")[-1].strip() for article in articles for p in article["paragraphs"]}
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
