"""`tokens.pack`, whole, beside raw `tokenizers`' encode_batch on the same texts already in memory.

Ours reads parquet, tokenises on one thread, writes tokens.bin, tokens.idx and the sidecar in a keyed order, and decodes 200
documents again; the peer tokenises and throws the ids away (encode_batch alone, then with the ids taken from each
encoding, as anything that uses them must). CPU time. Texts: Kyoto articles (sentences joined by newlines) and Aozora pages.
Tokenizers: Mistral 7B's own from mistral-common, and one with pieces added for Japanese.

    WATARI_TEST_DATA=… python benchmarks/corpus_pack.py [--quick] [--repeats 3] [--workers 1]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sides import alternate, arguments, one_thread, tell

one_thread()

_ADDED = 8000


def main() -> None:
    """Print the claims."""
    options = arguments(__doc__, _more)
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        sys.exit("WATARI_TEST_DATA is not set: the folder of real data")
    texts = list(_texts(Path(data), 60 if options.quick else 4000))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tokenizers = {"Mistral 7B v0.1": _mistral(folder / "base")}
        tokenizers["the same, extended"] = _extended(folder, texts, 300 if options.quick else _ADDED)
        for name, tokenizer in tokenizers.items():
            sizes = f"{len(texts):,} documents, {megabytes:.1f} MB, {name}, {options.workers} thread"
            compare(
                folder, texts, tokenizer, sizes, 1 if options.quick else options.repeats or 3, options.workers
            )


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1, help="threads of our side")


def compare(folder: Path, texts: list[str], tokenizer: Path, sizes: str, repeats: int, workers: int) -> None:
    """Measure our packing beside the three raw forms and print the claims."""
    from inputs import artifact
    from tokenizers import Tokenizer

    from watari.artifact.kinds import Kind
    from watari.artifact.rows import write_rows
    from watari.artifact.stage import Inputs, Silent
    from watari.corpus.pack import Params, run

    documents = folder / "documents"
    if not documents.exists():
        rows = (
            {"id": f"{place:06d}", "text": text, "language": "ja", "source": "s"}
            for place, text in enumerate(texts)
        )
        write_rows(documents / "rows.parquet", Kind.DOCUMENTS, rows)
    inputs = Inputs(
        {
            "documents": [artifact("docs", documents, Kind.DOCUMENTS)],
            "tokenizer": [artifact("tok", tokenizer, Kind.TOKENIZER)],
        }
    )
    raw = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    params: dict[str, Any] = {"documents": ["docs"], "tokenizer": "tok", "workers": workers}

    def ours(**more: Any) -> None:
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        run(Params(**params, **more), inputs, out, Silent())

    def encode() -> None:
        for start in range(0, len(texts), 256):
            raw.encode_batch(texts[start : start + 256], add_special_tokens=False)

    def encode_and_take() -> None:
        for start in range(0, len(texts), 256):
            for encoding in raw.encode_batch(texts[start : start + 256], add_special_tokens=False):
                encoding.ids  # noqa: B018

    forms = {
        "tokens.pack beside encode_batch": (ours, encode),
        "tokens.pack beside encode_batch with its ids taken": (ours, encode_and_take),
        "tokens.pack, best-fit, beside encode_batch": (
            lambda: ours(packing="best-fit", sequence=4096),
            encode,
        ),
    }
    for claim, (us, peer) in forms.items():
        seconds = alternate(us, peer, repeats=repeats)
        tell(claim, *seconds, unit="CPU s", peer_packages=("tokenizers",), sizes=sizes)


def _texts(data: Path, articles: int) -> Iterator[str]:
    with gzip.open(data / "kyoto-wiki/docs.jsonl.gz", "rt", encoding="utf-8") as handle:
        for line, _ in zip(handle, range(articles), strict=False):
            yield "\n".join(json.loads(line)["ja"])
    with gzip.open(data / "aozora/docs.jsonl.gz", "rt", encoding="utf-8") as handle:
        for line, _ in zip(handle, range(articles // 20), strict=False):
            yield json.loads(line)["text"]


def _mistral(folder: Path) -> Path:
    from watari.artifact.outside import packaged_file
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), folder)
    return folder


def _extended(folder: Path, texts: list[str], count: int) -> Path:
    """Return the folder of Mistral's tokenizer with `count` Japanese pieces, learnt from a part of the texts."""
    from watari.tokenizer.build import extend_tokenizer, write_extension
    from watari.tokenizer.goal import Goal
    from watari.tokenizer.opening import open_base
    from watari.tokenizer.policy import Policy
    from watari.tokenizer.script import script_of
    from watari.tokenizer.texts import Text

    extension = extend_tokenizer(
        open_base("mistral-v1"),
        [Text(str(place), text, "ja", "s") for place, text in enumerate(texts[:400])],
        Policy(script_of("ja")),
        Goal(add=count),
    )
    write_extension(extension, folder / "extended")
    return folder / "extended"


if __name__ == "__main__":
    main()
