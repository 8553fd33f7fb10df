"""Web archives: pages in every encoding, packing and state of repair, each a row."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Record
from watari.artifact.warc import warc_records
from watari.corpus.ingest import UNREADABLE, plan, read
from watari.corpus.sources import SourceFile

SENTENCES = (
    "これは日本語のページの本文です。①㈱などの機種依存文字も含みます。",
    "二つ目の段落には、もう少し長い文章を置いて、本文として取り出されるようにします。",
    "三つ目の段落です。ひらがなとカタカナと漢字が混ざっています。",
)
BODY = "".join(f"<p>{sentence}</p>" for sentence in SENTENCES)


def page(meta: str = "", body: str = BODY) -> str:
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    return f"<!DOCTYPE html><html><head>{head}<title>題</title></head><body><nav>ホーム</nav><article>{body}</article></body></html>"


class Archive:
    """Writes a WARC file by warcio."""

    def __init__(self, *, packed: bool) -> None:
        self.raw = io.BytesIO()
        self.writer = WARCWriter(self.raw, gzip=packed)
        self.writer.write_record(self.writer.create_warcinfo_record("f", {"software": "test"}))

    def answer(
        self,
        url: str,
        body: bytes,
        mime: str | None = "text/html",
        status: str = "200 OK",
        headers: tuple[tuple[str, str], ...] = (),
        kind: str = "response",
    ) -> None:
        fields = [("Content-Type", mime)] if mime else []
        record = self.writer.create_warc_record(
            url,
            kind,
            payload=io.BytesIO(body),
            http_headers=StatusAndHeaders(status, [*fields, *headers], protocol="HTTP/1.1"),
            warc_headers_dict={"WARC-Date": "2024-01-02T03:04:05Z"},
        )
        self.writer.write_record(record)

    def text(self, url: str, body: bytes, kind: str = "conversion") -> None:
        self.writer.write_record(
            self.writer.create_warc_record(
                url, kind, payload=io.BytesIO(body), warc_content_type="text/plain"
            )
        )

    def save(self, path: Path) -> Path:
        path.write_bytes(self.raw.getvalue())
        return path


def of(path: Path) -> list[dict[str, Any]]:
    return [
        row
        for piece in plan([SourceFile(path=str(path))])
        for table in read(piece)
        for row in table.to_pylist()
    ]


def chunked(body: bytes) -> bytes:
    parts = [body[at : at + 100] for at in range(0, len(body), 100)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("packed", [True, False])
def test_pages_of_every_encoding_and_packing(tmp_path: Path, packed: bool) -> None:
    archive = Archive(packed=packed)
    sjis, euc = page().encode("cp932"), eucjp(page())
    archive.answer("http://a/header", sjis, "text/html; charset=Shift_JIS")
    archive.answer("http://a/meta", page("x-sjis").encode("cp932"))
    archive.answer("http://a/none-sjis", sjis)
    archive.answer("http://a/none-euc", euc)
    archive.answer("http://a/euc", euc, "text/html; charset=EUC-JP")
    archive.answer("http://a/wrong", sjis, "text/html; charset=UTF-8")
    archive.answer("http://a/bom", b"\xef\xbb\xbf" + page().encode(), "text/html; charset=Shift_JIS")
    archive.answer("http://a/chunked", chunked(page().encode()), headers=(("Transfer-Encoding", "chunked"),))
    archive.answer("http://a/gzip", gzip.compress(page().encode()), headers=(("Content-Encoding", "gzip"),))
    deflate = zlib.compress(page().encode())[2:-4]
    archive.answer("http://a/deflate", deflate, headers=(("Content-Encoding", "deflate"),))
    both = (("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))
    archive.answer("http://a/both", chunked(gzip.compress(page().encode())), headers=both)
    # Crawlers that undo the packing and leave the header.
    archive.answer("http://a/undone", page().encode(), headers=both)
    archive.answer("http://a/no-type", page().encode(), None)
    jis = page().replace("①㈱", "")
    archive.answer("http://a/jis", jis.encode("iso2022_jp"))
    rows = of(archive.save(tmp_path / ("a.warc.gz" if packed else "a.warc")))
    assert len(rows) == 14
    for number, row in enumerate(rows, 2):
        assert row["reason"] is None, row
        wanted = "\n".join(SENTENCES)
        assert row["text"] == (wanted.replace("①㈱", "") if row["url"].endswith("/jis") else wanted), row[
            "url"
        ]
        assert row["date"] == "2024-01-02T03:04:05Z"
        assert row["place"] == f"record {number}"
        assert len(row["id"]) == 36
    assert [row["url"] for row in rows][:2] == ["http://a/header", "http://a/meta"]


def eucjp(text: str) -> bytes:
    """EUC-JP with Windows' rows, as browsers write and read it."""
    data = b""
    for char in text:
        pair = char.encode("cp932")
        if len(pair) == 1:
            data += pair
            continue
        first, second = pair[0] - (0x81 if pair[0] < 0xA0 else 0xC1), pair[1]
        row = 2 * first + (1 if second < 0x9F else 2)
        cell = second - 0x9E if second >= 0x9F else second - (0x3F if second < 0x7F else 0x40)
        data += bytes([row + 0xA0, cell + 0xA0])
    return data


def test_what_is_no_page_is_a_row_with_a_reason(tmp_path: Path) -> None:
    archive = Archive(packed=True)
    archive.answer("http://a/pdf", b"%PDF-1.4", "application/pdf")
    archive.answer("http://a/404", page().encode(), status="404 Not Found")
    archive.answer("http://a/empty", b"<html><body></body></html>")
    archive.answer("http://a/rubbish", bytes(range(128, 256)) * 20)
    archive.answer(
        "http://a/torn", gzip.compress(page().encode())[:-20], headers=(("Content-Encoding", "gzip"),)
    )
    archive.answer("http://a/broken", b"ff\r\nabc", headers=(("Transfer-Encoding", "chunked"),))
    archive.answer("http://a/again", b"", kind="revisit")
    archive.text("http://a/plain", "テキスト。".encode())
    archive.text("http://a/blank", b" \n")
    archive.answer("http://a/request", b"", kind="request")
    rows = of(archive.save(tmp_path / "a.warc.gz"))
    assert [(row["url"].rpartition("/")[2], row["reason"]) for row in rows] == [
        ("pdf", "not HTML"),
        ("404", "HTTP status"),
        ("empty", "no main text"),
        ("rubbish", "unknown encoding"),
        ("torn", "damaged file"),
        ("broken", "damaged file"),
        ("again", "no text"),
        ("plain", None),
        ("blank", "empty"),
    ]
    assert rows[0]["detail"] == "application/pdf"
    assert rows[1]["detail"] == "404"
    assert rows[7]["text"] == "テキスト。"
    assert not {"not HTML", "HTTP status", "no main text", "empty"} & UNREADABLE


def test_wet_files(tmp_path: Path) -> None:
    archive = Archive(packed=True)
    for number in range(3):
        archive.text(f"http://a/{number}", f"題\n本文{number}。\n".encode())
    rows = of(archive.save(tmp_path / "a.warc.wet.gz"))
    assert [(row["url"], row["text"]) for row in rows] == [
        (f"http://a/{n}", f"題\n本文{n}。\n") for n in range(3)
    ]


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_that_breaks_off(tmp_path: Path, packed: bool) -> None:
    archive = Archive(packed=packed)
    for number in range(4):
        archive.answer(f"http://a/{number}", page(body=BODY + f"<p>{number}番目のページ。</p>" * 3).encode())
    path = archive.save(tmp_path / ("a.warc.gz" if packed else "a.warc"))
    path.write_bytes(path.read_bytes()[:-300])
    rows = of(path)
    assert [row["reason"] for row in rows] == [None, None, None, "damaged file"]


def test_a_broken_record_is_one_row_and_the_rest_is_read(tmp_path: Path) -> None:
    archive = Archive(packed=False)
    archive.answer("http://a/1", page().encode())
    first = archive.raw.tell()
    archive.answer("http://a/2", page().encode())
    archive.answer("http://a/3", page().encode())
    data = archive.raw.getvalue()
    hurt = bytearray(data)
    hurt[first : first + 8] = b"XXXX/1.0"
    path = tmp_path / "a.warc"
    path.write_bytes(hurt)
    assert [(row["url"], row["reason"]) for row in of(path)] == [
        ("http://a/1", None),
        (None, "damaged file"),
        ("http://a/3", None),
    ]
    path.write_bytes(data.replace(b"Content-Length", b"Content-Lxngth"))
    assert {row["reason"] for row in of(path)} == {"damaged file"}
    path.write_bytes(b"not an archive\nat all\n")
    assert [row["reason"] for row in of(path)] == ["damaged file"]
    path.write_bytes(b"")
    assert of(path) == []


def test_data_import_reads_the_same_pages(tmp_path: Path) -> None:
    archive = Archive(packed=True)
    archive.answer("http://a/1", page("shift_jis").encode("cp932"))
    path = archive.save(tmp_path / "a.warc.gz")
    (record,) = read_records(str(path), ReadOptions())
    assert isinstance(record, Record)
    assert record.row["text"] == of(path)[0]["text"]
    with gzip.open(path) as stream:
        (found,) = warc_records(stream)  # type: ignore[arg-type]
    assert (found.mime, found.charset, found.status) == ("text/html", "", 200)
