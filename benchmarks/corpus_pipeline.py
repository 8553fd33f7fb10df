"""A whole corpus, as a user makes it: rules, duplicates and decontamination, ours beside datatrove, wall time.

Both sides start from the same two .jsonl files in a new process with the same number of worker processes. Ours is one
command, `watari corpus build --profile ja-swallow --decontaminate …`, with all that it does besides: normal form, language,
ledger, masking of personal data, report, dataset card. The peer is datatrove's LocalPipelineExecutor: JsonlReader, the same
rules as a filter of its own (plain Python that asks the cheap ones first), its MinHash in four stages (14 x 8, shingles of 5
characters), its NGramsDecontFilter (20 characters), JsonlWriter. Its words are characters, which is faster than any
segmenter of Japanese and makes both sides compare the same n-grams.

Text: Aozora and the Kyoto articles (sentences joined by line feeds) from WATARI_TEST_DATA, with 1,000 near-duplicates
and 300 paragraphs of JSQuAD planted; and all of it three times more, each time with 15 % of the characters changed, so
that the starting of processes weighs less: 0.28 GB. Bar: 20.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sides import arguments, tell

WORKERS = 2
NGRAM, SHINGLE = 20, 5


def main() -> None:
    """Print the claim."""
    options = arguments(__doc__, _more)
    if options.peer:
        peer(Path(options.peer), Path(os.environ["WATARI_TEST_DATA"]))
        return
    data = Path(os.environ["WATARI_TEST_DATA"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        documents, size = write_input(folder / "in", data, quick=options.quick)
        seconds: dict[str, list[float]] = {"ours": [], "peer": []}
        kept: dict[str, int] = {}
        for number in range(options.repeats or (1 if options.quick else 3)):
            seconds["ours"].append(ours(folder / f"ours-{number}", folder / "in", data))
            # The peer takes minutes: once, unless more were asked for.
            if not seconds["peer"] or options.repeats:
                seconds["peer"].append(run_peer(folder))
        kept["ours"] = json.loads((folder / "ours-0" / "manifest.json").read_text("utf-8"))["metrics"]["kept"]
        kept["peer"] = sum(
            sum(1 for _ in path.open("rb")) for path in (folder / "peer" / "final").glob("*.jsonl")
        )
        tell(
            "Whole corpus: ja-swallow rules, near duplicates, decontamination; wall time",
            statistics.median(seconds["ours"]),
            statistics.median(seconds["peer"]),
            unit="s",
            peer_packages=("datatrove",),
            sizes=f"{documents:,} documents, {size / 1e6:.1f} MB, {WORKERS} workers; kept {kept['ours']:,} and"
            f" {kept['peer']:,}; ours {', '.join(f'{x:.1f}' for x in seconds['ours'])} s",
        )


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peer", help=argparse.SUPPRESS)


def write_input(folder: Path, data: Path, *, quick: bool) -> tuple[int, int]:
    """Write two files of about the same size; return (documents, bytes)."""
    draws = random.Random(3)
    with gzip.open(data / "aozora" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines][: 30 if quick else None]
    with gzip.open(data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        articles = ["\n".join(json.loads(line)["ja"]) for line in lines][: 200 if quick else None]
    with gzip.open(data / "jglue" / "jsquad_valid-v1.3.json.gz", "rt", encoding="utf-8") as file:
        paragraphs = [
            paragraph["context"] for article in json.load(file)["data"] for paragraph in article["paragraphs"]
        ]
    near = [edited(text, 0.01, draws) for text in draws.sample(articles, min(1000, len(articles) // 2))]
    for number, paragraph in enumerate(draws.sample(paragraphs, min(300, len(articles)))):
        articles[number] += "\n" + paragraph
    other = [edited(text, 0.15, draws) for _ in range(3) for text in texts + articles]
    whole = texts + articles + near + other
    draws.shuffle(whole)
    folder.mkdir(parents=True)
    total = 0
    for number in range(2):
        with (folder / f"{number:02d}.jsonl").open("w", encoding="utf-8") as out:
            for place, text in enumerate(whole[number::2]):
                line = json.dumps({"id": f"{number}-{place}", "text": text}, ensure_ascii=False) + "\n"
                total += len(line.encode("utf-8"))
                out.write(line)
    return len(whole), total


def edited(text: str, share: float, draws: random.Random) -> str:
    """Return a text with a share of its characters, line ends and stops aside, replaced by kana and kanji."""
    changed = list(text)
    for place in draws.sample(range(len(text)), int(len(text) * share)):
        if changed[place] not in "\n。、「」":
            changed[place] = draws.choice("山川海空花鳥風月のにをはがとでも")
    return "".join(changed)


def ours(out: Path, source: Path, data: Path) -> float:
    """Run our command; return its seconds."""
    command = [
        *(sys.executable, "-m", "watari", "corpus", "build", "--profile", "ja-swallow", "--quiet"),
        *("--input", *map(str, sorted(source.glob("*.jsonl"))), "--out", str(out), "--workers", str(WORKERS)),
        *("--decontaminate", str(data / "jglue" / "jsquad_valid-v1.3.json.gz")),
    ]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.monotonic() - began


def run_peer(folder: Path) -> float:
    """Run datatrove in a process of its own; return its seconds."""
    shutil.rmtree(folder / "peer", ignore_errors=True)
    began = time.monotonic()
    subprocess.run(
        [sys.executable, __file__, "--peer", str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - began


def peer(folder: Path, data: Path) -> None:
    """Build the corpus with datatrove below `folder/peer`."""
    import numpy as np
    import xxhash
    from corpus_rules import kept_by_python
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.decont import NGramsDecontFilter
    from datatrove.pipeline.decont.n_grams import NGramsDecontConfig
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.text import ngrams, simplify_text
    from datatrove.utils.word_tokenizers import WordTokenizer

    class SwallowFilter(BaseFilter):
        name = "Swallow rules"

        def filter(self, doc: Document) -> bool:
            return kept_by_python(doc.text)

    class Characters(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return list(text)

        def sent_tokenize(self, text: str) -> list[str]:
            return [text]

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    def hashed(text: str) -> int:
        # Its own function, xxh64 of a string, fails with xxhash 4, which takes bytes only.
        return int(xxhash.xxh64_intdigest(text.encode()))

    def run(name: str, steps: list[Any], tasks: int, workers: int) -> None:
        LocalPipelineExecutor(
            pipeline=steps,
            tasks=tasks,
            workers=workers,
            logging_dir=str(out / "logs" / name),
            skip_completed=False,
        ).run()

    out = folder / "peer"
    config = MinhashConfig(n_grams=SHINGLE, num_buckets=14, hashes_per_bucket=8)
    decontamination = NGramsDecontConfig(n_grams=NGRAM)
    (out / "index").mkdir(parents=True)
    with gzip.open(data / "jglue" / "jsquad_valid-v1.3.json.gz", "rt", encoding="utf-8") as file:
        found = set()
        for article in json.load(file)["data"]:
            for paragraph in article["paragraphs"]:
                for text in (paragraph["context"], *(item["question"] for item in paragraph["qas"])):
                    letters = list(simplify_text(text, decontamination.norm_config))
                    found |= {hashed(" ".join(gram)) for gram in ngrams(letters, NGRAM)}
    np.array(sorted(found), np.uint64).tofile(out / "index" / "jsquad.index.hashes")
    signature = MinhashDedupSignature(str(out / "signatures"), config, language=Characters())
    signature._hash_func = hashed
    screen = NGramsDecontFilter(str(out / "index"), config=decontamination, language=Characters())
    screen.hash_func = hashed
    read = JsonlReader(str(folder / "in"), compression=None)
    ruled = JsonlReader(str(out / "ruled"), compression=None)
    run("rules", [read, SwallowFilter(), JsonlWriter(str(out / "ruled"), compression=None)], WORKERS, WORKERS)
    run("signatures", [ruled, signature], WORKERS, WORKERS)
    run(
        "buckets",
        [MinhashDedupBuckets(str(out / "signatures"), str(out / "buckets"), config=config)],
        14,
        WORKERS,
    )
    run("clusters", [MinhashDedupCluster(str(out / "buckets"), str(out / "remove"), config=config)], 1, 1)
    run(
        "final",
        [
            ruled,
            MinhashDedupFilter(str(out / "remove")),
            screen,
            JsonlWriter(str(out / "final"), compression=None),
        ],
        WORKERS,
        WORKERS,
    )


if __name__ == "__main__":
    main()
