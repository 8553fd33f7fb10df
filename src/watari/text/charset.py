"""The character set of a page, as browsers find it: byte-order mark, HTTP header, `<meta>`, and then the bytes.

Names mean what the WHATWG Encoding Standard says that they mean on the web: `shift_jis` is Windows' code page 932,
`iso-8859-1` is Windows-1252, `gb2312` is GB 18030. Unlike a browser, a page that contradicts what it declares is not
shown as rubbish: the bytes are asked, and then told to hold no readable text.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WEB_NAMES = {
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "ms_kanji": "cp932",
    "ms932": "cp932",
    "windows-31j": "cp932",
    "csshiftjis": "cp932",
    "euc-jp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "eucjp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "korean": "cp949",
    "windows-949": "cp949",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "unicode": "utf-8",
    "utf8": "utf-8",
}
_META = re.compile(rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_HEAD = 4096
"""Bytes in which a `<meta>` is looked for; the standard asks for 1,024, browsers and old Japanese pages for more."""
_RUBBISH = 0.01
"""Share of unreadable characters above which a page is not taken."""


@dataclass(frozen=True)
class Decoded:
    """A page as text; `encoding` is Python's name for what it was in, empty if the bytes are no text in any."""

    text: str
    encoding: str


def decode_page(body: bytes, declared: str = "") -> Decoded:
    """Return the text of a page.

    Args:
        body: Its bytes.
        declared: The character set that the HTTP header names.

    Returns:
        The text and its encoding. A few bytes that are no characters become U+FFFD; a page with more than one such
        character in a hundred has no encoding and no text.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return _loose(body[len(mark) :], name)
    head = body[:_HEAD]
    for label in (declared, *(_found(pattern, head) for pattern in (_META, _XML))):
        name = known_encoding(label)
        # A <meta> that can be read as ASCII is not in UTF-16, whatever it says.
        if name.startswith("utf-16"):
            name = "utf-8"
        text = _strict(body, name) if name else None
        if text is not None:
            return Decoded(text, name)
    return _guessed(body, known_encoding(declared) or known_encoding(_found(_META, head)))


def known_encoding(label: str) -> str:
    """Return Python's name for what the web calls `label`, or an empty string if there is no such text encoding."""
    label = label.strip().lower()
    if not label:
        return ""
    label = _WEB_NAMES.get(label, label)
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):
        return ""
    # hex, zlib and the like are no text; utf-7 is none on the web.
    return "" if not getattr(found, "_is_text_encoding", True) or found.name == "utf-7" else found.name


def _found(pattern: re.Pattern[bytes], head: bytes) -> str:
    match = pattern.search(head)
    return match[1].decode("ascii") if match else ""


def _strict(body: bytes, name: str) -> str | None:
    try:
        # Windows' rows of EUC-JP (①, ㈱), which Python's codec lacks, stand in code page 932.
        return body.decode(name, "watari_euc_jp" if name == "euc_jp" else "strict")
    except UnicodeDecodeError:
        return None


def _windows_row(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if len(pair) < 2 or min(pair) < 0xA1:
        raise error
    row, cell = pair[0] - 0xA0, pair[1] - 0xA0
    first = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    second = cell + (0x3F if cell <= 63 else 0x40) if row % 2 else cell + 0x9E
    try:
        return bytes([first, second]).decode("cp932"), error.start + 2
    except UnicodeDecodeError:
        raise error from None


codecs.register_error("watari_euc_jp", _windows_row)


def _guessed(body: bytes, declared: str) -> Decoded:
    if b"\x1b$" in body and (text := _strict(body, "iso2022_jp")) is not None:
        return Decoded(text, "iso2022_jp")
    if (text := _strict(body, "utf-8")) is not None:
        return Decoded(text, "utf-8")
    both = {name: _strict(body, name) for name in ("euc_jp", "cp932")}
    read = {name: text for name, text in both.items() if text is not None}
    if read:
        name = max(read, key=lambda name: _japanese(read[name]))
        if _japanese(read[name]) >= 0.1:
            return Decoded(read[name], name)
    for name in dict.fromkeys((declared or "utf-8", "utf-8", "cp932", "euc_jp")):
        found = _loose(body, name)
        # Code pages with one byte a character read anything: only a page that declares one is in it.
        if found.encoding and (name == declared or _japanese(found.text) >= 0.1):
            return found
    return Decoded("", "")


def _loose(body: bytes, name: str) -> Decoded:
    text = body.decode(name, "replace")
    return Decoded("", "") if text.count("\ufffd") > max(_RUBBISH * len(text), 1) else Decoded(text, name)


def _japanese(text: str) -> float:
    """Return the share of kana and usual kanji among the characters beyond ASCII; half-width kana tell of a wrong guess."""
    beyond = [char for char in text[:20_000] if char > "\x7f"]
    good = sum("\u3001" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff" for char in beyond)
    kana = sum("\u3041" <= char <= "\u30ff" for char in beyond)
    wrong = sum("\uff61" <= char <= "\uff9f" or "\ue000" <= char <= "\uf8ff" for char in beyond)
    return (good + kana - wrong) / (2 * max(len(beyond), 1))
