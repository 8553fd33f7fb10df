"""Web archives: the records of WARC files (ISO 28500), and the page or text that each one holds.

Every record that could be a document comes out, as a page or with the reason why there is none. `warcinfo`, `request`
and `metadata` records tell of others and are no documents. Where a record breaks, reading goes on at the next line
that begins one.
"""

from __future__ import annotations

import gzip
import importlib
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from watari.artifact.files import DAMAGED
from watari.artifact.records import first_line

_START = re.compile(rb"WARC/\d\.\d+\s*$")
_ASIDE = ("warcinfo", "request", "metadata")
_LARGEST = 64 << 20
"""Bytes of one record; a larger one is no page (crawlers cut pages at 1 to 5 MB)."""


@dataclass(frozen=True)
class WarcRecord:
    """One record that could be a document.

    Args:
        number: Of the record in its file, from 1, those that are no documents counted too.
        url, date, id: As its headers give them; the date of its capture, in ISO form.
        status: Of the HTTP answer; 200 where the record is none (`resource`, `conversion`).
        mime: Media type in lower case without parameters; empty if not given.
        charset: As the headers name it; empty if they do not.
        body: Its bytes, unchunked and unpacked.
        reason, detail: Why it cannot be used; empty if it can.
        last: True if nothing more can be read after it.
    """

    number: int
    url: str | None = None
    date: str | None = None
    id: str | None = None
    status: int = 200
    mime: str = ""
    charset: str = ""
    body: bytes = b""
    reason: str = ""
    detail: str = ""
    last: bool = False


def warc_records(stream: IO[bytes]) -> Iterator[WarcRecord]:
    """Yield every record of an unpacked WARC file that could be a document, in order.

    A record that cannot be read comes out with the reason "damaged file"; the file goes on after it, unless it is
    the file itself that breaks off.
    """
    source = stream if isinstance(stream, io.BufferedReader | gzip.GzipFile) else io.BufferedReader(stream)  # type: ignore[type-var]
    number = 0
    lost = False
    while True:
        number += 1
        try:
            line = source.readline(1 << 16)
            while line and not line.strip():
                line = source.readline(1 << 16)
            if not line:
                return
            if not _START.match(line):
                if not lost:
                    yield WarcRecord(number, reason="damaged file", detail="no record begins here")
                else:
                    number -= 1
                lost = True
                continue
            lost = False
            headers = _headers(source)
            size = headers.get("content-length", "")
            if not size.isdigit():
                yield _record(number, headers, reason="damaged file", detail="a record without its length")
                lost = True
                continue
            content, missing = _content(source, int(size))
        except DAMAGED as error:
            yield WarcRecord(number, reason="damaged file", detail=first_line(error), last=True)
            return
        if missing:
            detail = f"the file ends {missing:,} bytes before its last record does"
            yield _record(number, headers, reason="damaged file", detail=detail, last=True)
            return
        if headers.get("warc-type", "").lower() in _ASIDE:
            continue
        if int(size) > _LARGEST:
            yield _record(number, headers, reason="too large", detail=f"{int(size):,} bytes")
        else:
            yield _read(number, headers, content)


def _headers(source: IO[bytes]) -> dict[str, str]:
    """Return header fields in lower case, up to the empty line; of a field given twice, the first."""
    fields: dict[str, str] = {}
    name = ""
    while (line := source.readline(1 << 16)).strip():
        text = _text(line).rstrip("\r\n")
        if text[:1] in " \t" and name:
            fields[name] += f" {text.strip()}"
            continue
        name, _, value = text.partition(":")
        name = name.strip().lower()
        fields.setdefault(name, value.strip())
    return fields


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _content(source: IO[bytes], size: int) -> tuple[bytes, int]:
    """Return a record's bytes (none of a record that is too large) and how many are missing."""
    kept: list[bytes] = []
    left = size
    while left:
        block = source.read(min(left, 1 << 20))
        if not block:
            break
        left -= len(block)
        if size <= _LARGEST:
            kept.append(block)
    return b"".join(kept), left


def _record(number: int, headers: Mapping[str, str], **more: Any) -> WarcRecord:
    url = headers.get("warc-target-uri", "").strip("<>") or None
    name = headers.get("warc-record-id", "").strip("<>").removeprefix("urn:uuid:") or None
    return WarcRecord(number, url=url, date=headers.get("warc-date") or None, id=name, **more)


def _read(number: int, headers: Mapping[str, str], content: bytes) -> WarcRecord:
    if headers.get("warc-type", "").lower() == "revisit":
        return _record(number, headers, reason="no text", detail="a page seen before: a revisit record")
    media = headers.get("content-type", "")
    if not media.lower().startswith("application/http"):
        mime, charset = _media(media)
        return _record(number, headers, mime=mime, charset=charset, body=content)
    head = io.BytesIO(content)
    status = re.match(rb"HTTP/\S+\s+(\d{3})", head.readline())
    if status is None:
        return _record(number, headers, reason="damaged file", detail="no HTTP answer in the record")
    fields = _headers(head)
    mime, charset = _media(fields.get("content-type", ""))
    more: dict[str, Any] = {"status": int(status[1]), "mime": mime, "charset": charset}
    try:
        body = _unpacked(head.read(), fields)
    except (zlib.error, EOFError, OSError, ValueError, ImportError) as error:
        return _record(number, headers, reason="damaged file", detail=first_line(error), **more)
    return _record(number, headers, body=body, **more)


def _media(value: str) -> tuple[str, str]:
    mime, _, rest = value.partition(";")
    charset = re.search(r"charset\s*=\s*[\"']?([^\s;\"']+)", rest, re.IGNORECASE)
    return mime.strip().lower(), charset[1] if charset else ""


def _unpacked(body: bytes, fields: Mapping[str, str]) -> bytes:
    """Return a body without its transfer and content encoding.

    Crawlers often undo these and leave the header: a body that does not begin as the header says is taken as it is.

    Raises:
        zlib.error, EOFError, OSError, ValueError: if it is broken.
        ImportError: if it is packed with Brotli and the package is not there.
    """
    if "chunked" in fields.get("transfer-encoding", "").lower() and re.match(
        rb"[0-9A-Fa-f]+\s*(;[^\n]*)?\r?\n", body
    ):
        body = _unchunked(body)
    for coding in reversed(fields.get("content-encoding", "").lower().split(",")):
        match coding.strip():
            case "gzip" | "x-gzip" if body[:2] == b"\x1f\x8b":
                body = _inflated(body, 31)
            case "deflate" if body:
                try:
                    body = _inflated(body, 15)
                except zlib.error:
                    body = _inflated(body, -15)
            case "br" if body:
                body = _unbrotlied(body)
    return body


def _unbrotlied(body: bytes) -> bytes:
    brotli = importlib.import_module("brotli")
    try:
        return bytes(brotli.decompress(body))
    except brotli.error as error:
        raise ValueError(f"brotli: {error}") from None


def _inflated(body: bytes, window: int) -> bytes:
    inflater = zlib.decompressobj(window)
    data = inflater.decompress(body, _LARGEST)
    if not inflater.eof and len(data) < _LARGEST:
        raise EOFError("the packed page breaks off")
    return data


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\n", at)
        if end < 0:
            raise EOFError("the chunked page breaks off")
        size = int(body[at:end].partition(b";")[0].strip() or b"0", 16)
        if size == 0:
            return b"".join(parts)
        part = body[end + 1 : end + 1 + size]
        if len(part) < size:
            raise EOFError("the chunked page breaks off")
        parts.append(part)
        at = end + 1 + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
