"""The character set of a page, found as browsers find it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.text.charset import decode_page, known_encoding

TEXT = "日本語の文章です。ひらがな、カタカナ、漢字を含みます。" * 3


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("Shift_JIS", "cp932"),
        (" x-sjis ", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("ISO-2022-JP", "iso2022_jp"),
        ("iso-8859-1", "cp1252"),
        ("gb2312", "gb18030"),
        ("UTF-8", "utf-8"),
        ("hex", ""),
        ("utf-7", ""),
        ("martian", ""),
        ("a\x00b", ""),
        ("", ""),
    ],
)
def test_names_mean_what_they_mean_on_the_web(label: str, encoding: str) -> None:
    assert known_encoding(label) == encoding


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-8", "iso2022_jp"])
@pytest.mark.parametrize("declared", ["", "utf-8", "shift_jis", "euc-jp", "martian"])
def test_japanese_is_read_whatever_is_declared(encoding: str, declared: str) -> None:
    found = decode_page(TEXT.encode(encoding), declared)
    if encoding == "iso2022_jp" and declared not in ("", "martian"):
        # All of it is ASCII, so that every declared encoding fits; browsers show the same rubbish.
        return
    assert found.text == TEXT
    assert found.encoding == encoding


def test_header_before_meta_before_bytes() -> None:
    body = f'<meta charset="shift_jis">{TEXT}'.encode("euc_jp")
    assert decode_page(body, "euc-jp").encoding == "euc_jp"
    assert TEXT in decode_page(body).text
    assert decode_page(b'<?xml version="1.0" encoding="windows-1251"?><p>\xcf\xf0\xe8</p>').text.endswith(
        "<p>При</p>"
    )
    assert decode_page("\ufeffé".encode("utf-16-le")).text == "é"
    assert decode_page(b'<meta charset="utf-16">abc').text.endswith("abc")
    assert decode_page(b"caf\xe9 \x93x\x94", "iso-8859-1").text == "café “x”"


def test_a_few_bad_bytes_are_marked_and_many_are_refused() -> None:
    body = TEXT.encode()
    assert decode_page(body[:30] + b"\xff" + body[30:] * 3, "utf-8").text.count("\ufffd") == 1

    assert decode_page(bytes(range(128, 256)) * 10).encoding == ""
    # Half a character at the end, as in a page that was cut.
    assert decode_page(TEXT.encode("cp932")[:-1], "shift_jis").text.startswith(TEXT[:-1])


@given(
    st.binary(max_size=300), st.sampled_from(["", "utf-8", "shift_jis", "euc-jp", "iso-2022-jp", "gbk", "x"])
)
def test_any_bytes_give_a_text_that_can_be_written(body: bytes, declared: str) -> None:
    found = decode_page(body, declared)
    found.text.encode("utf-8")
    assert found.encoding or not found.text
