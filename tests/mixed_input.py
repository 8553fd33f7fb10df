"""A few megabytes of documents for whole builds of a corpus: real text and everything that is wrong with real files."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]


@dataclass(frozen=True)
class MixedInput:
    """What was made.

    Args:
        files: Documents, in many forms; their order is of no account.
        evaluation: An evaluation set that some of the documents quote.
        target: Texts that resemble some of the documents.
        rows: Rows in all of `files`, readable or not.
    """

    files: list[Path]
    evaluation: Path
    target: Path
    rows: int


def make(folder: Path, test_data: Path, *, documents: int = 240, seed: int = 0) -> MixedInput:
    """Write the files.

    Args:
        folder: For the files; made if it is not there.
        test_data: The folder of real data.
        documents: Real documents of each of the two collections.
        seed: Of what is drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    novels = [
        {"id": row["id"], "text": row["text"][:6000], "source": "aozora", "license": "public domain"}
        for row in islice(_rows(test_data / "aozora" / "docs.jsonl.gz"), documents)
    ]
    articles = [
        {"id": f"kyoto-{row['id']}", "text": "\n".join(row["ja"]), "url": f"https://kyoto.example/{number}"}
        for number, row in enumerate(islice(_rows(test_data / "kyoto-wiki" / "docs.jsonl.gz"), documents))
    ]
    english = [
        {"text": " ".join(row["en"]), "language": "en", "meta": {"n": [1, 2]}}
        for row in islice(_rows(test_data / "kyoto-wiki" / "docs.jsonl.gz"), documents, documents + 40)
    ]
    questions = [
        {"id": f"q{number}", "question": row["text"][300:380], "answer": "京都"}
        for number, row in enumerate(draw.sample(articles, 12))
    ]
    evaluation = folder / "quiz.jsonl"
    _write_lines(evaluation, questions)
    target = folder / "target.jsonl"
    _write_lines(target, [{"text": row["text"][:1500]} for row in draw.sample(articles, 30)])
    copies = [{**row, "id": f"copy-{row['id']}", "source": "mirror"} for row in draw.sample(articles, 25)]
    near = [
        {**row, "text": _edited(row["text"], draw), "source": "mirror"} for row in draw.sample(articles, 40)
    ]
    quoting = [
        {"id": f"quote-{number}", "text": novels[number]["text"][:900] + "\n" + question["question"] * 2}
        for number, question in enumerate(questions)
    ]
    rows = [*novels, *articles, *english, *copies, *near, *quoting, *_junk(draw)]
    draw.shuffle(rows)
    files = _spread(folder, rows)
    files.append(_broken(folder / "broken.jsonl", draw.sample(articles, 5)))
    (folder / "part").mkdir(exist_ok=True)
    # Of the name of another file, with other content.
    _write_lines(folder / "part" / "web-0.jsonl", [{"text": row["text"][100:]} for row in articles[:15]])
    files.append(folder / "part" / "web-0.jsonl")
    return MixedInput(files, evaluation, target, len(rows) + 13 + 15)


def _rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)


def _write_lines(path: Path, rows: list[Row], *, end: str = "\n") -> None:
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + end for row in rows).encode("utf-8"))


def _edited(text: str, draw: random.Random) -> str:
    """Return the text with one character in a hundred replaced."""
    characters = list(text)
    for place in draw.sample(range(len(characters)), len(characters) // 100):
        characters[place] = draw.choice("あいうえお日本語。")
    return "".join(characters)


def _junk(draw: random.Random) -> list[Row]:
    """Return rows that can be read and are good for nothing, or only nearly."""
    texts = [
        "", " \n\t ", "短い。", "ｱｲｳ！？" * 200, "クリックはこちら。" * 120, "\u0000\u200b" * 50, "e\u0301" * 300,
        "連絡はfoo@example.jpまたは０３-１２３４-５６７８まで。" * 30, "😀👨\u200d👩\u200d👧" * 150, "한국어 문장입니다. " * 80,
    ]  # fmt: skip
    rows: list[Row] = [{"text": text, "id": f"junk-{number}"} for number, text in enumerate(texts)]
    rows += [
        {"text": None},
        {"id": "no-text"},
        {"text": 5, "id": 7},
        {"text": ["文。", "また文。"], "id": "list"},
    ]
    # The same id on different texts.
    rows += [{"id": "same", "text": "同じ名前の文書である。" * draw.randint(40, 60)} for _ in range(3)]
    return rows


def _spread(folder: Path, rows: list[Row]) -> list[Path]:
    """Write the rows as files of several forms and return them."""
    files = []
    size = -(-len(rows) // 9)
    for number in range(9):
        part = rows[number * size : (number + 1) * size]
        name = f"web-{number}"
        if number in (0, 1, 2):
            path = folder / f"{name}.jsonl"
            _write_lines(path, part, end="\r\n" if number == 1 else "\n")
        elif number in (3, 4):
            path = folder / f"{name}.jsonl.gz"
            lines = "".join(json.dumps(row) + "\n" for row in part)
            path.write_bytes(gzip.compress(lines.encode("utf-8"), mtime=0))
        elif number == 5:
            path = folder / f"{name}.jsonl.zst"
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
            with pa.CompressedOutputStream(str(path), "zstd") as stream:
                stream.write(lines.encode("utf-8"))
        else:
            path = folder / f"{name}.parquet"
            plain = [{**row, "id": _text(row.get("id")), "text": _text(row.get("text"))} for row in part]
            columns = ("id", "text", "source", "license", "url", "language")
            table = pa.table(
                {column: pa.array([row.get(column) for row in plain], pa.string()) for column in columns}
            )
            pq.write_table(table, path, row_group_size=30)
        files.append(path)
    return files


def _text(value: object) -> str | None:
    return (
        None if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )


def _broken(path: Path, rows: list[Row]) -> Path:
    """Write good lines between lines that no reader can make sense of; 13 in all, the last without its end."""
    good = [json.dumps(row, ensure_ascii=False).encode("utf-8") for row in rows]
    bad = [b"{not json", b'{"text": "cut', b"\xff\xfe\x00", "日本語".encode("shift_jis"), b"[1, 2]", b"null"]
    lone = rb'{"id": "lone", "text": "\ud800 lone surrogate"}'
    lines = [
        good[0],
        bad[0],
        good[1],
        bad[1],
        bad[2],
        good[2],
        bad[3],
        lone,
        bad[4],
        good[3],
        bad[5],
        good[4],
    ]
    path.write_bytes(b"\n".join([*lines, rb'{"text": "no newline at the end"}']))
    return path
