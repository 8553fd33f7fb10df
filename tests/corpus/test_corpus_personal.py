"""Masks of personal data: what is masked, what is left alone, and that masking says the same every time."""

from __future__ import annotations

import gzip
import ipaddress
import json
import random
import re
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.corpus import personal_checks
from watari.corpus.personal import MASKED, PersonalParams, counts, find, mask
from watari.corpus.table import WORKING, undecided
from watari.errors import UserError
from watari.languages.personal import personal_forms, personal_languages

ALL = PersonalParams()


def table_of(*texts: str | None) -> pa.Table:
    rows = [{"key": f"{number:032x}", "text": text} for number, text in enumerate(texts)]
    return undecided(pa.Table.from_pylist(rows, schema=WORKING))


def found(text: str, params: PersonalParams = ALL) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.stop]) for span in find(text, params)]


def masked(text: str, params: PersonalParams = ALL) -> str:
    return str(mask(table_of(text), params).column("text")[0].as_py())


def full_width(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("連絡はfoo@x.jpまで", "foo@x.jp"),
        ("メール：foo.bar+baz@mail.x.co.jp。", "foo.bar+baz@mail.x.co.jp"),
        ("宛先はｆｏｏ＠ｘ．ｃｏ．ｊｐです", "ｆｏｏ＠ｘ．ｃｏ．ｊｐ"),
        ("<mailto:a_b@x-y.museum>", "a_b@x-y.museum"),
        ("窓口はinfo@日本語.jpへ", "info@日本語.jp"),
        ("foo[at]x.jp に", "foo[at]x.jp"),
        ("foo（アットマーク）x.jp に", "foo（アットマーク）x.jp"),
    ],
)
def test_addresses_are_found_against_kana_and_in_full_width(text: str, address: str):
    assert found(text) == [("email", address)]


@pytest.mark.parametrize(
    "text",
    [
        "画像はicon@2x.pngです",
        "npm i react@18.2.0",
        "git@github.com:foo/bar.git",
        "user@example.com へ",
        "@foo さん、＠bar さん",
        "9時 @ 駅前",
        "a@b",
        "x" * 70 + "@x.jp",
    ],
)
def test_what_only_looks_like_an_address_stays(text: str):
    assert found(text) == []


NUMBERS = [
    "03-1234-5678",
    "(03)1234-5678",
    "03(1234)5678",
    "03 1234 5678",
    "0422-21-1234",
    "011-222-3333",
    "04992-2-1234",
    "0120-123-456",
    "0570-012-345",
    "0800-123-4567",
    "050-1234-5678",
    "090-1234-5678",
    "080 1234 5678",
    "070-1234-5678",
    "060-1234-5678",
    "09012345678",
    "+81-3-1234-5678",
    "+81 90 1234 5678",
    "+81(0)3-1234-5678",
    "+819012345678",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("hyphen", "-‐‑−ー－―")
def test_telephone_numbers_in_every_writing(number: str, hyphen: str):
    written = number.replace("-", hyphen)
    for text in (written, full_width(number).replace("－", hyphen)):
        assert found(f"山田{text}まで") == [("phone", text)]
        assert found(f"TEL:{text}、") == [("phone", text)]


@pytest.mark.parametrize(
    "text",
    [
        "品番0312345678",
        "0123456789",
        "012-345-6789",
        "03-12345-678",
        "03-0234-5678",
        "090-0123-4567",
        "ISBN 4-00-312345-6",
        "2023-10-05",
        "1999年12月31日 10:20:30",
        "A03-1234-5678",
        "1-03-1234-5678",
        "03-1234-5678-9",
        "0.09012345678",
        "3.14159265358979",
        "〒100-0001",
        "12,345,678円",
        "+1 415 555 0100",
        "口座 0001-123-4567",
    ],
)
def test_other_numbers_stay(text: str):
    assert found(text) == []


def test_a_word_before_it_makes_bare_digits_a_number():
    assert found("電話は0312345678です") == [("phone", "0312345678")]
    assert found("ＴＥＬ０３１２３４５６７８") == [("phone", "０３１２３４５６７８")]
    assert found("TEL03-1234-5678") == [("phone", "03-1234-5678")]
    assert found("電話は0101234567です") == []


def my_number(first: str) -> str:
    return next(f"{first}{digit}" for digit in range(10) if personal_checks.my_number(f"{first}{digit}"))


def test_my_numbers_need_their_check_digit_and_blanks_or_a_word():
    # The check digit by the ministry's own words, written out once more.
    weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
    for number in random.Random(5).sample(range(10**11), 200):
        first = f"{number:011d}"
        rest = sum(int(digit) * weight for digit, weight in zip(first, weights, strict=True)) % 11
        assert personal_checks.my_number(first + str(0 if rest <= 1 else 11 - rest))
    good = my_number("12345678901")
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    spaced = f"{good[:4]} {good[4:8]} {good[8:]}"
    assert found(f"番号 {spaced}。") == [("my_number", spaced)]
    assert found(f"マイナンバーは{full_width(good)}") == [("my_number", full_width(good))]
    assert found(f"注文番号{good}") == []
    assert found(f"マイナンバーは{wrong}") == []
    assert found(f"{wrong[:4]} {wrong[4:8]} {wrong[8:]}") == []
    assert found(f"{spaced} 1234") == found(f"1234 {spaced}") == []
    assert not personal_checks.my_number("0" * 12)


@pytest.mark.parametrize(
    ("number", "card"),
    [
        ("4111 1111 1111 1111", True),
        ("4111-1111-1111-1111", True),
        ("4111111111111111", True),
        ("5555555555554444", True),
        ("2223003122003222", True),
        ("3782 822463 10005", True),
        ("3530111333300000", True),
        ("6011111111111117", True),
        ("30569309025904", True),
        ("4111 1111 1111 1112", False),
        ("1234 5678 9012 3452", False),
        ("4111 11111111 1111", False),
        ("41111111111111111111", False),
        ("0000 0000 0000 0000", False),
    ],
)
def test_cards_need_an_issuer_a_length_and_the_luhn_sum(number: str, card: bool):
    assert found(f"カード{number}で") == ([("card", number)] if card else [])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("接続元は93.184.216.34から", "93.184.216.34"),
        ("IPアドレス8.8.4.4を", "8.8.4.4"),
        ("http://93.184.216.34/x", "93.184.216.34"),
        ("９３．１８４．２１６．３４", "９３．１８４．２１６．３４"),
        ("接続元は2400:4050:abcd::1から", "2400:4050:abcd::1"),
        ("private 192.168.0.1", None),
        ("loopback 127.0.0.1", None),
        ("docs 203.0.113.5, 2001:db8::1", None),
        ("v1.120.3.4", None),
        ("Chrome/120.0.6099.109", None),
        ("Firefox/120.0.0.1", None),
        ("第3.1.2.4節", None),
        ("北緯34.30.3.5", None),
        ("256.1.2.3", None),
        ("1.2.3.4.5.6", None),
        ("12:34:56", None),
        ("std::vector a::b", None),
        ("01.02.03.200", None),
    ],
)
def test_only_public_addresses_are_masked(text: str, address: str | None):
    assert found(text) == ([("ip", address)] if address else [])


def test_replacements_have_the_form_and_belong_to_nobody():
    text = "a@x.jp b@x.jp A@X.JP 電話０３－1234-5678 93.184.216.34 2400:4050:abcd::1 4111 1111 1111 1111"
    made = masked(text).split()
    assert re.fullmatch(r"user\d{4}@example\.(com|org|net)", made[0])
    assert made[0] == made[2] != made[1]
    assert made[3] == "電話００－0000-0000"
    assert any(ipaddress.ip_address(made[4]) in ipaddress.ip_network(net) for net in DOCUMENTATION)
    assert ipaddress.ip_address(made[5]) in ipaddress.ip_network("2001:db8::/32")
    assert made[6:] == ["0000"] * 4
    placeholder = PersonalParams(replacement="placeholder")
    assert masked(text, placeholder).split()[:4] == ["<email>", "<email>", "<email>", "電話<phone>"]


DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")


def test_the_draw_is_of_the_document_the_value_and_the_seed():
    table = table_of("連絡はfoo@x.jp", "連絡はfoo@x.jp", "なし")
    first, second, third = mask(table).column("text").to_pylist()
    assert third == "なし"
    assert first != second
    assert mask(table).equals(mask(table))
    assert mask(table.slice(1, 1)).column("text")[0].as_py() == second
    assert mask(table, PersonalParams(seed=1)).column("text")[0].as_py() != first


def test_counts_stand_in_a_column():
    made = mask(table_of("a@x.jp、b@x.jp、03-1234-5678", None, "", "なし", "c@x.jp"))
    assert made.column(MASKED).to_pylist() == ['{"email": 2, "phone": 1}', None, None, None, '{"email": 1}']
    assert counts(made) == {
        "email": {"documents": 2, "masked": 3},
        "phone": {"documents": 1, "masked": 1},
    }
    assert mask(table_of()).column(MASKED).to_pylist() == []
    assert made.schema.field("text").type == WORKING.field("text").type
    chunked = pa.concat_tables([table_of("a@x.jp"), table_of("b@x.jp")])
    assert mask(chunked).column(MASKED).to_pylist() == ['{"email": 1}'] * 2


def test_kinds_may_be_chosen():
    text = "a@x.jp 03-1234-5678 93.184.216.34"
    assert found(text, PersonalParams(kinds=["phone"])) == [("phone", "03-1234-5678")]
    assert mask(table_of(text), PersonalParams(kinds=[])).column(MASKED).to_pylist() == [None]


def test_other_countries_have_forms_of_their_own():
    korean = PersonalParams(languages=["ko"])
    assert found("전화 02-312-3456, 010-1234-5678, +82 10-1234-5678", korean) == [
        ("phone", "02-312-3456"),
        ("phone", "010-1234-5678"),
        ("phone", "+82 10-1234-5678"),
    ]
    assert found("주민등록번호 900101-1234567", korean) == [("resident_registration", "900101-1234567")]
    assert found("901301-1234567", korean) == []
    indonesian = PersonalParams(languages=["id"])
    assert found("Telp 021-555-1234, HP 0812-3456-7890, +62 812 3456 7890", indonesian) == [
        ("phone", "021-555-1234"),
        ("phone", "0812-3456-7890"),
        ("phone", "+62 812 3456 7890"),
    ]
    assert found("NIK 3171234567890001", indonesian) == [] != found("NIK 3171231508900001", indonesian)
    both = PersonalParams(languages=["ja", "ko"])
    assert [kind for kind, _ in found("03-1234-5678 010-1234-5678", both)] == ["phone", "phone"]


def test_forms_are_read_and_mistakes_told():
    assert {"ja", "ko", "id"} <= set(personal_languages())
    for code in personal_languages():
        forms = personal_forms(code)
        assert all(form.check in personal_checks.CHECKS for form in forms.identity)
    with pytest.raises(UserError, match="known: id, ja, ko"):
        personal_forms("xx")
    with pytest.raises(ValidationError, match="known: id, ja, ko"):
        PersonalParams(languages=["xx"])


FRAGMENTS = st.sampled_from(
    [
        *NUMBERS,
        "foo@x.jp",
        "93.184.216.34",
        "4111 1111 1111 1111",
        "あ",
        "、",
        " ",
        "\n",
        "(",
        "1",
        "-",
        "＠",
        "０",
    ]
)


@given(
    st.lists(st.one_of(FRAGMENTS, st.text(st.characters(exclude_categories=["Cs"]), max_size=5)), max_size=12)
)
@example(["4111 1111 1111 1111", "foo@x.jp"])
@settings(max_examples=300)
def test_masking_holds_for_any_text(parts: list[str]):
    text = "".join(parts)
    made = mask(table_of(text))
    again = mask(made.drop_columns([MASKED]))
    spans = find(text, ALL)
    assert all(left.stop <= right.start for left, right in pairwise(spans))
    # pyarrow's first look may not pass over what the finders would find.
    assert (made.column(MASKED)[0].as_py() is not None) == bool(spans)
    if not spans:
        assert made.column("text")[0].as_py() == text
    if spans and again.column(MASKED)[0].as_py():
        # What is left over from a long run of digits may be a number of its own, but masked values are none.
        assert not any(
            span.kind in ("email", "ip", "card", "my_number")
            for span in find(made.column("text")[0].as_py(), ALL)
        )


@pytest.mark.data
def test_recall_and_false_hits_on_real_text(test_data: Path):
    with gzip.open(test_data / "aozora/docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        pages = [json.loads(line)["text"] for line in lines]
    assert mask(table_of(*pages)).column(MASKED).null_count == len(pages)
    with gzip.open(test_data / "kyoto-wiki/docs.jsonl.gz", "rt", encoding="utf-8") as lines:
        articles = ["\n".join(json.loads(line)["ja"]) for line in lines]
    # Read one by one: sixteen telephone numbers of offices and hotels, nothing else.
    assert counts(mask(table_of(*articles))) == {"phone": {"documents": 12, "masked": 16}}

    draw = random.Random(7)
    codes = personal_forms("ja").phone
    assert codes is not None
    fixed = codes.kinds[0].codes.split()
    planted = []
    for page in pages[:400]:
        code = draw.choice(fixed)
        local = f"{draw.randint(2, 9)}{''.join(draw.choices('0123456789', k=9 - len(code)))}"
        number = f"{code}-{local[:-4]}-{local[-4:]}"
        written = full_width(number) if draw.random() < 0.5 else number
        name = "".join(draw.choices("abcdefgxyz", k=6))
        at = draw.randrange(min(len(page), 2000))
        planted.append(f"{page[:at]}電話{written}、連絡は{name}@{name}.co.jpへ{page[at : at + 500]}")
    assert counts(mask(table_of(*planted))) == {
        "email": {"documents": 400, "masked": 400},
        "phone": {"documents": 400, "masked": 400},
    }
