"""Decontamination and masks of personal data beside datatrove (and HojiChar): how fast, what is found, what wrongly.

Text: Aozora's works and the Japanese side of the Kyoto articles (their sentences joined by newlines), from
WATARI_TEST_DATA. Evaluation sets: the valid and test parts of JGLUE (JSQuAD, JCommonsenseQA, JNLI, JSTS), JEMHopQA's dev
part, MT-Bench in Japanese and English. Both sides get the same texts of them; datatrove's indexer imports lighteval,
so its index files are written here, in its form. Its Japanese words need `spacy[ja]`; where that (or hojichar) is
installed elsewhere, name the folder with --packages.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import sides

sides.one_thread()

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402

from watari.corpus.contamination import screen  # noqa: E402
from watari.corpus.contamination_report import OVERLAP  # noqa: E402
from watari.corpus.personal import MASKED, PersonalParams, find, mask  # noqa: E402
from watari.corpus.table import WORKING, undecided  # noqa: E402
from watari.kernels.contamination_index import ContaminationIndex, build_index  # noqa: E402
from watari.text.evaluation_sets import EvaluationText, read  # noqa: E402

SHARED = {"BDS00818", "CLT00967", "GNM00259", "SNT00355", "TTL00007"}
"""Kyoto articles that share passages with JSQuAD's articles of Wikipedia: read one by one."""


def main() -> None:
    """Print every claim."""
    options = sides.arguments(__doc__, _more)
    if options.packages:
        sys.path.append(options.packages)
    data = Path(os.environ["WATARI_TEST_DATA"])
    sets = list(_sets(data))
    books = list(islice(_rows(data / "aozora"), 60 if options.quick else None))
    articles = list(islice(_rows(data / "kyoto-wiki"), 200 if options.quick else None))
    index = build_index(sets)
    repeats = options.repeats or (1 if options.quick else 5)
    known = f"{len(sets):,} texts of {len(index.tasks)} evaluation sets, {len(index.grams):,} 20-grams"
    peer = _Peer(sets) if find_spec("datatrove") and find_spec("spacy") else None
    _speed(books, articles, index, peer, known, repeats)
    _recall(books, sets, index, peer, known, 200 if options.quick else 2000)
    _false(books, articles, index, known, show=options.show)
    _numpy(books, index, known)
    _personal(books, articles, repeats)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--packages", help="a folder with spacy[ja] and hojichar, looked into last")
    parser.add_argument("--show", action="store_true", help="print every document that is hit, to be read")


def _rows(folder: Path) -> Iterator[tuple[str, str]]:
    with gzip.open(folder / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["id"], row["text"] if "text" in row else "\n".join(row["ja"])


def _sets(data: Path) -> Iterator[EvaluationText]:
    for path in sorted((data / "jglue").glob("*.json.gz")):
        if "train" not in path.name:
            yield from read(str(path))
    yield from read(str(data / "jemhopqa" / "dev_ver1.2.json.gz"))
    yield from read(str(data / "mt-bench-ja" / "swallow-202411" / "question.jsonl"))
    yield from read(str(data / "mt-bench-en" / "question.jsonl"))


def _table(rows: list[tuple[str, str]]) -> pa.Table:
    listed = [{"key": key, "text": text} for key, text in rows]
    return undecided(pa.Table.from_pylist(listed, schema=WORKING))


def _megabytes(rows: list[tuple[str, str]]) -> float:
    return sum(len(text.encode()) for _, text in rows) / 1e6


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class _Peer:
    """datatrove's filter over the same evaluation texts."""

    def __init__(self, sets: list[EvaluationText]) -> None:
        from datatrove.pipeline.decont import NGramsDecontFilter
        from datatrove.pipeline.decont.n_grams import NGramsDecontConfig
        from datatrove.utils.hashing import HashConfig
        from datatrove.utils.text import ngrams, simplify_text
        from datatrove.utils.typeshelper import Languages

        self._folder = tempfile.TemporaryDirectory()
        # Its default, xxhash, is given a str, which xxhash 4 refuses.
        config = NGramsDecontConfig(hash_config=HashConfig(hash_fc="sha1"))
        self._filter = NGramsDecontFilter(self._folder.name, config=config, language=Languages.japanese)
        for task in sorted({row.task for row in sets}):
            hashes = set()
            for text in {row.text for row in sets if row.task == task}:
                words = self._filter.tokenizer.word_tokenize(simplify_text(text, config.norm_config))
                hashes |= {self._filter.hash_func(" ".join(gram)) for gram in ngrams(words, config.n_grams)}
            array = np.array(sorted(hashes), config.hash_config.np_descr)
            array.tofile(Path(self._folder.name) / f"{task.replace('/', ' ').replace(' ', '_')}.index.hashes")

    def hit(self, text: str) -> bool:
        """Return whether it drops a document."""
        from datatrove.data import Document

        return self._filter.filter(Document(text, "")) is not True


def _told(peer: _Peer | None) -> dict[str, Any]:
    packages = ("datatrove", "spacy") if peer else ()
    name = "NGramsDecontFilter, 12 words" if peer else "none: spacy[ja] is not installed"
    return {"peer_packages": packages, "peer_name": name}


def _speed(
    books: list[tuple[str, str]],
    articles: list[tuple[str, str]],
    index: ContaminationIndex,
    peer: _Peer | None,
    known: str,
    repeats: int,
) -> None:
    tables = [_table(rows) for rows in (books, articles)]
    sizes = _megabytes(books), _megabytes(articles)
    some = articles[:: max(1, len(articles) // 60)]
    for table in tables:
        screen(table, index)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        ours.append(sum(sizes) / _seconds(lambda: [screen(table, index) for table in tables]))
        if peer is not None:
            theirs.append(_megabytes(some) / _seconds(lambda: [peer.hit(text) for _, text in some]))
    sides.tell(
        "decontamination, MB of text a CPU second",
        statistics.median(ours),
        statistics.median(theirs) if theirs else 0.0,
        unit="MB/s",
        sizes=f"ours {len(books) + len(articles):,} documents, {sum(sizes):.1f} MB; peer {len(some)} of them,"
        f" {_megabytes(some):.2f} MB; {known}",
        less_is_better=False,
        **_told(peer),
    )


LAYOUTS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: "\n".join(text[start : start + 40] for start in range(0, len(text), 40)),
    lambda text: text.replace("、", "，").replace("。", "．"),
    lambda text: text.translate({code: code + 0xFEE0 for code in range(0x30, 0x7B)}),
    lambda text: f"「{text}」",
)


def _recall(
    books: list[tuple[str, str]],
    sets: list[EvaluationText],
    index: ContaminationIndex,
    peer: _Peer | None,
    known: str,
    count: int,
) -> None:
    """Plant whole passages, questions and turns of at least 30 Japanese characters (90 of others) in pages."""
    draw = random.Random(0)
    items = sorted(
        {row.text for row in sets if len(re.findall("[ぁ-ヿ一-鿿]", row.text)) >= 30 or len(row.text) >= 150}
    )
    chosen = draw.sample(items, min(count, len(items)))
    pages = []
    for number, item in enumerate(chosen):
        text = books[number % len(books)][1]
        at = draw.randrange(max(1, len(text) - 1500))
        planted = LAYOUTS[number % len(LAYOUTS)](item)
        pages.append(("", f"{text[at : at + 800]}\n{planted}\n{text[at + 800 : at + 1500]}"))
    found = [reason is not None for reason in screen(_table(pages), index).column("reason").to_pylist()]
    theirs = [peer.hit(text) for _, text in pages[: count // 4]] if peer else [False]
    sides.tell(
        "decontamination, recall of whole texts planted in five layouts",
        sum(found) / len(found),
        sum(theirs) / len(theirs),
        unit="share",
        sizes=f"{len(pages):,} pages of Aozora with one text each (peer: the first {len(theirs):,}); {known}",
        less_is_better=False,
        **_told(peer),
    )


def _false(
    books: list[tuple[str, str]],
    articles: list[tuple[str, str]],
    index: ContaminationIndex,
    known: str,
    *,
    show: bool,
) -> None:
    hits = {}
    for rows in (books, articles):
        notes = screen(_table(rows), index).column(OVERLAP).to_pylist()
        hits |= {key: json.loads(note) for (key, _), note in zip(rows, notes, strict=True) if note}
    if show:
        for key, note in hits.items():
            print(key, sorted(note["tasks"]), note["example"])
    false = len(hits.keys() - SHARED)
    total = len(books) + len(articles)
    sides.tell(
        "decontamination, documents wrongly hit (those that share passages with JSQuAD left out)",
        100 * false / total,
        0.1,
        unit="% of documents",
        peer_name="the bar",
        sizes=f"{total:,} documents, {len(hits)} hit, {len(hits.keys() & SHARED)} of them share passages; {known}",
    )


def _numpy(books: list[tuple[str, str]], index: ContaminationIndex, known: str) -> None:
    table = _table(books[:200])
    screen(table, index)
    ours = _seconds(lambda: screen(table, index))
    os.environ["WATARI_KERNELS"] = "numpy"
    try:
        theirs = _seconds(lambda: screen(table, index))
    finally:
        del os.environ["WATARI_KERNELS"]
    sides.tell(
        "decontamination, numba beside the numpy fallback",
        ours,
        theirs,
        unit="CPU s",
        peer_name="our own fallback",
        peer_packages=("numpy",),
        sizes=f"{table.num_rows} documents, {_megabytes(books[:200]):.1f} MB; {known}",
    )


def _personal(books: list[tuple[str, str]], articles: list[tuple[str, str]], repeats: int) -> None:
    from watari.languages.personal import personal_forms

    params = PersonalParams()
    table = _table(books + articles)
    size = _megabytes(books + articles)
    formatters = dict(_formatters())
    speed = {"ours": statistics.median(size / _seconds(lambda: mask(table, params)) for _ in range(repeats))}
    some = articles[:: max(1, len(articles) // 1000)]
    for name, format in formatters.items():
        speed[name] = _megabytes(some) / _seconds(lambda: [format(text) for _, text in some])  # noqa: B023
    draw = random.Random(1)
    phone = personal_forms("ja").phone
    assert phone is not None
    codes = phone.kinds[0].codes.split()
    planted = []
    for _, text in books:
        code = draw.choice(codes)
        digits = f"{draw.randint(2, 9)}{''.join(draw.choices('0123456789', k=9 - len(code)))}"
        number = f"{code}-{digits[:-4]}-{digits[-4:]}"
        if draw.random() < 0.5:
            number = number.translate({code: code + 0xFEE0 for code in range(0x21, 0x3A)})
        name = "".join(draw.choices("abcdefghi", k=6))
        planted.append((text[:300], f"{name}@{name}.co.jp", number))
    texts = [f"{text}連絡は{address}へ、電話は{number}です。" for text, address, number in planted]
    bare = [f"{text}品番{draw.randrange(10**8, 10**9):010d}です。" for text, _, _ in planted]
    for name, format in {"ours": lambda text: _masked(text, params), **formatters}.items():
        made = [format(text) for text in texts]
        mails = sum(address not in text for text, (_, address, _) in zip(made, planted, strict=True))
        phones = sum(number not in text for text, (_, _, number) in zip(made, planted, strict=True))
        wrong = sum(format(text) != text for text in bare)
        shares = (mails / len(texts), phones / len(texts), wrong / len(bare))
        print(
            f"# masks, {name}: {speed[name]:.3g} MB/s; of {len(texts)} each: e-mail beside kana {shares[0]:.3f},"
            f" telephone (half in full width) {shares[1]:.3f}, ten digits of an article number {shares[2]:.3f}"
        )
        if name != "ours":
            packages = (name.split()[0],)
            sides.tell(
                f"masks of personal data, MB of text a CPU second, beside {name}",
                speed["ours"],
                speed[name],
                unit="MB/s",
                peer_packages=packages,
                sizes=f"ours {table.num_rows:,} documents, {size:.1f} MB; peer {len(some):,}, {_megabytes(some):.1f} MB",
                less_is_better=False,
            )
    hits = mask(table, params)
    count = table.num_rows - hits.column(MASKED).null_count
    sides.tell(
        "masks of personal data, documents changed (12 Kyoto articles give 16 telephone numbers)",
        count,
        12,
        unit="documents",
        peer_name="read by hand",
        sizes=f"{table.num_rows:,} documents, {size:.1f} MB",
    )


def _masked(text: str, params: PersonalParams) -> str:
    for span in reversed(find(text, params)):
        text = f"{text[: span.start]}<{span.kind}>{text[span.stop :]}"
    return text


def _formatters() -> Iterator[tuple[str, Callable[[str], str]]]:
    if find_spec("datatrove"):
        from datatrove.pipeline.formatters import PIIFormatter

        yield "datatrove PIIFormatter", PIIFormatter().format
    if find_spec("hojichar"):
        from hojichar import Document
        from hojichar.filters import document_filters

        masks = [document_filters.MaskPersonalInformation()]

        def hojichar(text: str) -> str:
            document = Document(text)
            for each in masks:
                document = each.apply(document)
            return str(document.text)

        yield "hojichar MaskPersonalInformation", hojichar


if __name__ == "__main__":
    main()
