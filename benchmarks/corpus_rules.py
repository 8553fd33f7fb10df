"""`ja-swallow`: the rules of Swallow's published quality.py, ours beside a document at a time in Python and in datatrove.

Both sides judge the same texts and must give the same verdicts; the script stops if they do not.

- rules: a table in memory → verdicts, in batches as `corpus.build` makes them; beside plain Python (re, Counter) that
  asks the cheap rules first and stops at the first one that fails. With numba, and with numpy alone.
- all figures: every rule's value for every text; beside plain Python that computes them all, as quality.py does.
- run: read jsonl, judge, write; beside the plain rules as a datatrove filter between its JsonlReader and JsonlWriter
  under its LocalPipelineExecutor, one task, nothing compressed.

Bars: 25 for the rules with numba, 20 for the run. Text: all of Aozora and the Kyoto articles of WATARI_TEST_DATA, an
article's sentences joined by line feeds (bar), and by nothing (shown).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from sides import alternate, arguments, one_thread, tell

one_thread()
os.environ["NUMBA_NUM_THREADS"] = "1"

import orjson  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from watari.corpus.rules.apply import apply, measure  # noqa: E402
from watari.corpus.rules.profile import load_profile  # noqa: E402
from watari.corpus.table import parted, undecided  # noqa: E402

BATCH_CHARACTERS, BATCH_ROWS = 5_000_000, 4096

# The peer: the published rules, a document at a time ------------------------------------------------------------------

SENTENCE = re.compile("[^。．！？!?]+[。．！？!?]?")
HIRAGANA = re.compile("[\u3041-\u3096]")
KATAKANA = re.compile("[\u30a1-\u30fa]")
OTHERS = re.compile("[々〇〻\u3400-\u9fff\uf900-\ufaff、，。．！？]")
TOP = {2: 0.2, 3: 0.18, 4: 0.16}
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1}


def said_again(spans: list[str]) -> tuple[float, float]:
    """Return the share of spans that repeat one, by number and by characters."""
    counted = Counter(spans)
    number = sum(count - 1 for count in counted.values())
    length = sum(len(span) * (count - 1) for span, count in counted.items())
    return number / len(spans), length / sum(map(len, spans))


def ngrams(text: str, n: int) -> Counter[str]:
    return Counter([text[at : at + n] for at in range(len(text) - n + 1)])


def broken(text: str) -> Iterator[bool]:
    """Yield of each rule whether the text breaks it, the cheap ones first."""
    yield len(text) < 400
    hiragana, katakana = len(HIRAGANA.findall(text)), len(KATAKANA.findall(text))
    letters = hiragana + katakana + len(OTHERS.findall(text))
    yield letters < 400
    yield letters / len(text) < 0.5
    yield letters == 0 or hiragana / letters < 0.2
    yield letters == 0 or katakana / letters > 0.5
    lines = [SENTENCE.findall(line) for line in text.split("\n")]
    sentences = [sentence for line in lines for sentence in line]
    yield not sentences
    if not sentences:
        return
    lengths = [len(sentence) for sentence in sentences]
    yield not 20 <= sum(lengths) / len(lengths) <= 90
    yield max(lengths) > 200
    yield sum(sentence.strip().endswith(("・", "…")) for sentence in sentences) / len(sentences) > 0.2
    for spans in (["".join(line) for line in lines], sentences):
        number, length = said_again(spans)
        yield number > 0.3
        yield length > 0.2
    for n, limit in TOP.items():
        counted = ngrams(text, n)
        yield not counted or max(counted.values()) / counted.total() > limit
    for n, limit in DUPLICATE.items():
        counted = ngrams(text, n)
        yield not counted or sum(count > 1 for count in counted.values()) / len(counted) > limit


def kept_by_python(text: str) -> bool:
    return not any(broken(text))


def kept_after_all_figures(text: str) -> bool:
    return text != "" and not any(list(broken(text)))


# Ours ---------------------------------------------------------------------------------------------------------------

PROFILE = load_profile("ja-swallow")


def batches(texts: list[str]) -> list[pa.Table]:
    """Return the texts as tables of the size in which `corpus.build` streams them."""
    made: list[pa.Table] = []
    part: list[str] = []
    size = 0
    for number, text in enumerate(texts):
        part.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS or len(part) == BATCH_ROWS or number == len(texts) - 1:
            keys = [str(key) for key in range(len(part))]
            made.append(undecided(pa.table({"key": keys, "text": pa.array(part, pa.large_string())})))
            part, size = [], 0
    return made


def kept_by_us(tables: list[pa.Table]) -> list[bool]:
    return [reason is None for table in tables for reason in apply(table, PROFILE)["reason"].to_pylist()]


def run_ours(source: Path, out: Path) -> int:
    """Read jsonl, judge, write parquet; return the rows kept."""
    kept = 0
    writer = None
    with source.open("rb") as file:
        rows: list[dict[str, Any]] = []
        size = 0
        while True:
            line = file.readline()
            if line:
                rows.append(orjson.loads(line))
                size += len(line)
            if rows and (not line or size >= 3 * BATCH_CHARACTERS or len(rows) == BATCH_ROWS):
                columns = {
                    name: pa.array([row[name] for row in rows], pa.large_string()) for name in ("id", "text")
                }
                stays, _ = parted(apply(undecided(pa.table(columns)), PROFILE))
                stays = stays.select(["id", "text"])
                writer = writer or pq.ParquetWriter(out, stays.schema, compression="zstd")
                writer.write_table(stays)
                kept += stays.num_rows
                rows, size = [], 0
            if not line:
                break
    if writer is not None:
        writer.close()
    return kept


def run_datatrove(source: Path, out: Path) -> int:
    """The same by datatrove; return the rows kept."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    class SwallowFilter(BaseFilter):
        name = "Swallow rules"

        def filter(self, doc: Document) -> bool:
            return kept_by_python(doc.text)

    shutil.rmtree(out, ignore_errors=True)
    executor = LocalPipelineExecutor(
        pipeline=[
            JsonlReader(str(source.parent), glob_pattern=source.name, compression=None),
            SwallowFilter(),
            JsonlWriter(str(out / "kept"), compression=None),
        ],
        tasks=1,
        workers=1,
        logging_dir=str(out / "logs"),
        skip_completed=False,
    )
    with redirect_stderr(io.StringIO()):  # its log
        executor.run()
    with next((out / "kept").glob("*.jsonl")).open("rb") as file:
        return sum(1 for _ in file)


def read(folder: Path, joint: str) -> list[str]:
    with gzip.open(folder / "aozora/docs.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    with gzip.open(folder / "kyoto-wiki/docs.jsonl.gz", "rt", encoding="utf-8") as file:
        texts += [joint.join(json.loads(line)["ja"]) for line in file]
    return texts


def main() -> None:
    """Print the claims."""
    args = arguments(__doc__)
    if "WATARI_TEST_DATA" not in os.environ:
        raise SystemExit("WATARI_TEST_DATA: the folder with aozora and kyoto-wiki is wanted")
    repeats = args.repeats or (1 if args.quick else 3)
    for joint, told in (("\n", "line feeds"), ("", "nothing")):
        texts = read(Path(os.environ["WATARI_TEST_DATA"]), joint)
        if args.quick:
            texts = texts[::40]
        megabytes = sum(len(text.encode()) for text in texts) / 1e6
        sizes = f"{len(texts)} texts, {megabytes:.1f} MB, sentences of articles joined by {told}, median of {repeats}"
        verdicts = [kept_by_python(text) for text in texts]
        _beside_python(texts, verdicts, told, sizes, repeats)
        if joint == "\n":
            _beside_python(texts, verdicts, told, sizes, repeats, kernels="numpy")
            _all_figures(texts, sizes, repeats)
            _beside_datatrove(texts, verdicts, sizes, repeats)


def _beside_python(
    texts: list[str], verdicts: list[bool], told: str, sizes: str, repeats: int, kernels: str = "numba"
) -> None:
    os.environ["WATARI_KERNELS"] = kernels
    tables = batches(texts)
    if verdicts != kept_by_us(tables):
        raise SystemExit(f"the verdicts differ with {kernels}")
    ours, theirs = alternate(
        lambda: kept_by_us(tables),
        lambda: [kept_by_python(text) for text in texts],
        repeats=repeats,
        warm_up=False,
    )
    tell(
        f"ja-swallow rules with {kernels}, articles joined by {told}",
        ours,
        theirs,
        unit="CPU s",
        peer_name="plain Python (re, Counter), stops at the first failing rule",
        sizes=sizes,
    )
    del os.environ["WATARI_KERNELS"]


def _all_figures(texts: list[str], sizes: str, repeats: int) -> None:
    tables = batches(texts)
    ours, theirs = alternate(
        lambda: [measure(table, PROFILE) for table in tables],
        lambda: [kept_after_all_figures(text) for text in texts],
        repeats=repeats,
        warm_up=False,
    )
    tell(
        "ja-swallow, all figures of all texts",
        ours,
        theirs,
        unit="CPU s",
        peer_name="plain Python (re, Counter), all figures",
        sizes=sizes,
    )


def _beside_datatrove(texts: list[str], verdicts: list[bool], sizes: str, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, ours_out, theirs_out = (
            Path(folder, name) for name in ("texts.jsonl", "ours.parquet", "theirs")
        )
        with source.open("wb") as file:
            for number, text in enumerate(texts):
                file.write(orjson.dumps({"id": str(number), "text": text}) + b"\n")
        if {run_ours(source, ours_out), run_datatrove(source, theirs_out)} != {sum(verdicts)}:
            raise SystemExit("the rows kept differ")
        ours, theirs = alternate(
            lambda: run_ours(source, ours_out),
            lambda: run_datatrove(source, theirs_out),
            repeats=repeats,
            warm_up=False,
        )
    tell(
        "ja-swallow run: jsonl in, rows kept out",
        ours,
        theirs,
        unit="CPU s",
        peer_packages=("datatrove",),
        peer_name="the plain rules as a filter, reader and writer of",
        sizes=sizes,
    )


if __name__ == "__main__":
    main()
