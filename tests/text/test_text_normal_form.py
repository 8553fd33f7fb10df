"""The corpus's normal form and its fast path; footers of pages."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.errors import UserError
from watari.text.footer import FooterParams, trim_footer, trim_footers, trim_table
from watari.text.normalise import NormaliseParams, normal_form, normal_forms, normalise, normalise_table

# What the rules act on, close together, beside anything at all.
LIVELY = st.text(
    st.sampled_from(
        "\r\n\x0b\x0c\x85\u2028 \t\u3000\u00a0\u2003\u00ad\u200b\u2060\u200d\ufeff\x00\x7f\uffff"
        "ｱｶﾊﾝﾞﾟ｡｢ｰ･カかハはヽゝ゛゜\u3099\u309aＡｚ０９1２a，．、。）」漢々ー가ᄀ\u1161\u11a8e\u0301\u0323ΩÅ神…\U0002f800😀"
    ),
    max_size=40,
)
ANY = st.text(max_size=60)
PARAMS = st.builds(
    NormaliseParams,
    nfc=st.booleans(),
    half_width_kana=st.booleans(),
    full_width_letters=st.booleans(),
    punctuation=st.booleans(),
    white_space=st.booleans(),
    invisible=st.booleans(),
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ﾊﾟｿｺﾝは､ｶﾞｷﾞｸﾞ｡｢ﾃﾞｰﾀ｣", "パソコンは、ガギグ。「データ」"),
        ("カﾞかﾞﾞアﾞ", "ガが゛ア゛"),
        ("ＡＢｃ１２３！？（）：％", "ABc123！？（）：％"),
        ("これは，本です．あれも．", "これは、本です。あれも。"),
        ("（例），「例」．を", "（例）、「例」。を"),
        ("約１，０００円と３．１４の", "約1,000円と3.14の"),
        ("図１．構成を", "図1．構成を"),
        ("えっ．．．あ．", "えっ．．．あ。"),
        ("你好，世界．１，２", "你好，世界．1，2"),
        (
            "中文，中文，中文，中文，中文，中文，中文，中文，中文，中文，の",
            "中文，中文，中文，中文，中文，中文，中文，中文，中文，中文，の",
        ),
        ("か\u3099 と e\u0301 と 神", "が と é と 神"),
        ("a\r\nb\rc\x0bd\x85e\u2028f", "a\nb\nc\nd\ne\nf"),
        ("a \t\u3000\n\n\n\nb\n \nc", "a\n\nb\n\nc"),
        ("a\n\n\n\n\n\n\n\n\nb", "a\n\nb"),
        ("あ\u00a0い\u2003う　え", "あ い う　え"),
        ("\ufeffあ\x00い\u200bう\u00adえ\x9f", "あいうえ"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("\n　段落。\n　次の段落。\n", "段落。\n　次の段落。"),
        ("", ""),
    ],
)
def test_rules(text: str, wanted: str) -> None:
    assert normal_form(text) == wanted


def test_rules_can_be_left_out() -> None:
    text = "ｶﾞ１，ａ\u00a0か\u3099，\u200b \n\n\nい"
    keep = dict.fromkeys(NormaliseParams.model_fields, False)
    assert normal_form(text, NormaliseParams(**keep)) == text
    for name, wanted in (
        ("nfc", "ｶﾞ１，ａ\u00a0が，\u200b \n\n\nい"),
        ("half_width_kana", "ガ１，ａ\u00a0か\u3099，\u200b \n\n\nい"),
        ("full_width_letters", "ｶﾞ1，a\u00a0か\u3099，\u200b \n\n\nい"),
        ("white_space", "ｶﾞ１，ａ か\u3099，\u200b\n\nい"),
        ("invisible", "ｶﾞ１，ａ\u00a0か\u3099， \n\n\nい"),
    ):
        assert normal_form(text, NormaliseParams(**{**keep, name: True})) == wanted


@given(st.one_of(LIVELY, ANY), PARAMS)
@settings(max_examples=400)
def test_idempotent_and_in_the_form_promised(text: str, params: NormaliseParams) -> None:
    form = normal_form(text, params)
    assert normal_form(form, params) == form
    assert form == form.strip()
    assert not set(form) & set("\r\x00\x0b\x0c\x7f\x85\ufeff\u2028")
    if params.nfc:
        assert unicodedata.is_normalized("NFC", form)
    if params.half_width_kana:
        assert not any("\uff61" <= char <= "\uff9f" for char in form)
    if params.full_width_letters:
        assert not set(form) & set("Ａｚ０９２")
    if params.white_space:
        assert " \n" not in form
        assert "\n\n\n" not in form
    for char in "！？（）漢😀":
        assert normal_form(char + "字", params) == char + "字"


@given(st.lists(st.one_of(st.none(), LIVELY, ANY), max_size=12), PARAMS, st.integers(0, 3))
@settings(max_examples=300)
def test_the_column_gives_what_the_string_gives(
    texts: list[str | None], params: NormaliseParams, skip: int
) -> None:
    wanted = [None if text is None else normal_form(text, params) for text in texts]
    column = pa.array(texts, pa.large_string())
    assert normal_forms(column, params).to_pylist() == wanted
    assert normal_forms(column.slice(skip), params).to_pylist() == wanted[skip:]
    assert normal_forms(pa.chunked_array([column, column]), params).to_pylist() == wanted * 2
    assert normal_forms(pa.chunked_array([], pa.large_string()), params).to_pylist() == []


def test_a_column_of_one_line_end() -> None:
    keep = dict.fromkeys(NormaliseParams.model_fields, False)
    params = NormaliseParams(**{**keep, "white_space": True})
    assert normal_forms(pa.array(["\n"], pa.large_string()), params).to_pylist() == [
        normal_form("\n", params)
    ]


def test_bytes_under_a_null_are_no_text() -> None:
    whole = pa.array(["ab", "ｶﾞ", "c"], pa.large_string())
    hidden = pa.Array.from_buffers(whole.type, 3, [pa.py_buffer(b"\x06"), *whole.buffers()[1:]])
    assert hidden.to_pylist() == [None, "ｶﾞ", "c"]
    assert normal_forms(hidden).to_pylist() == [None, "ガ", "c"]
    assert normal_forms(hidden.slice(1)).to_pylist() == ["ガ", "c"]


def test_every_character_alone_and_behind_a_letter_takes_the_same_way() -> None:
    # The fast path must not pass over a character that the slow one acts on.
    chars = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0x2F800, 0x2FA20))]
    for texts in (chars, [f"か{char}の" for char in chars]):
        assert normal_forms(pa.array(texts, pa.large_string())).to_pylist() == [
            normal_form(text) for text in texts
        ]


@given(LIVELY)
def test_the_least_form_is_what_it_was(text: str) -> None:
    form = normalise(text)
    assert normalise(form) == form
    # Control characters go first, so that what stood behind one may stand at the edge.
    kept = "".join(char for char in text if normalise(f"a{char}a") != "aa")
    assert "\u00a0" not in kept.strip() or "\u00a0" in form


def test_a_table_keeps_its_rows_and_columns() -> None:
    table = pa.table({"id": ["a", "b"], "text": pa.array(["ｶﾞ", None], pa.large_string()), "n": [1, 2]})
    assert normalise_table(table).to_pylist() == [
        {"id": "a", "text": "ガ", "n": 1},
        {"id": "b", "text": None, "n": 2},
    ]
    assert normalise_table(table).schema == table.schema
    assert normalise_table(table.slice(0, 0)).num_rows == 0


FOOTER = FooterParams()


def test_footers_go_and_text_stays() -> None:
    body = "本文の一行目です。\nコメントという言葉のある、少し長い二行目の文です。"
    foot = "ホーム | 会社概要 | お問い合わせ\n\nCopyright (C) 2020 例 All  Rights Reserved."
    assert trim_footer(f"{body}\n{foot}", FOOTER) == body
    assert trim_footer(f"{foot}\n{body}", FOOTER) == f"\n{body}"
    assert trim_footer(body, FOOTER) == body
    far = "プライバシーポリシー\n" + "文。\n" * 12 + "終わり。"
    assert trim_footer(far, FOOTER) == far
    assert trim_footer(far, FooterParams(lines=20)).startswith("文。")
    assert trim_footer("ホーム", FOOTER) == ""
    assert trim_footer("", FOOTER) == ""
    # Exactly three characters in ten are not more than 30 %.
    assert trim_footer("一二三四五六七ホーム", FOOTER) == "一二三四五六七ホーム"
    assert trim_footer("一二三四五六ホーム", FOOTER) == ""
    with pytest.raises(UserError, match="no footer words"):
        trim_footer("x", FooterParams(language="ru"))


def test_what_footers_lose_is_counted() -> None:
    texts = ["文。\nホーム", None, "文。", "サイトマップ"]
    column, cut = trim_footers(pa.array(texts, pa.large_string()), FOOTER)
    assert column.to_pylist() == ["文。", None, "文。", ""]
    assert cut.tolist() == [4, 0, 0, 6]
    assert cut.dtype == np.int64
    table, again = trim_table(pa.table({"text": pa.array(texts, pa.large_string())}), FOOTER)
    assert table.column("text").to_pylist() == column.to_pylist()
    assert again.tolist() == cut.tolist()


@given(st.lists(st.sampled_from(["ホーム", "文章です。", "", "ログイン 会員登録", "　"]), max_size=16))
def test_footers_only_take_lines_from_the_end(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = trim_footer(text, FOOTER)
    kept = found.split("\n")
    assert len(found) <= len(text)
    assert kept.count("文章です。") == lines.count("文章です。")
    assert not {"ホーム", "ログイン 会員登録"} & set(kept[-10:]) or len(lines) > 10
