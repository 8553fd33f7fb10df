"""The history of one document, and keyed draws of rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from made_corpus import STEPS, MadeRow, key_of, small_rows, write_corpus
from watari.artifact.draws import draw_uint64
from watari.corpus.report.examples import as_text, dropped_examples, kept_examples, sample
from watari.corpus.report.explain import explain
from watari.corpus.report.tables import opened
from watari.errors import UserError
from watari.pages.visible import columns


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), small_rows())


def place_of(reason: str) -> tuple[MadeRow, str]:
    """Return the first row that is dropped for a reason, and its key."""
    for number, row in enumerate(small_rows(), 1):
        if row.reason == reason:
            return row, key_of(row, number)
    raise AssertionError(reason)


def test_a_kept_document(made: Path) -> None:
    row = small_rows()[10]
    found = explain(made, "doc-010")
    assert (found.doc_id, found.found_by, found.kept, found.key) == (
        "doc-010",
        "doc_id",
        True,
        key_of(row, 11),
    )
    assert [(passage.step, passage.outcome) for passage in found.history] == [
        (step, "passed") for step in STEPS
    ]
    assert (found.text, found.text_from) == (row.text, "documents")
    assert (found.cluster_size, found.copies) == (4, 1)
    assert found.rules_from == "measured"
    assert [(rule.name, rule.value, rule.holds) for rule in found.rules] == [
        (name, pytest.approx(value), True) for name, value in (row.measures or {}).items()
    ]
    assert found.characters == len(row.text)
    for asked, by in ((row.url, "url"), (found.key, "key")):
        again = explain(made, str(asked))
        assert (again.found_by, again.doc_id) == (by, "doc-010")


def test_a_dropped_document(made: Path) -> None:
    row, key = place_of("hiragana")
    found = explain(made, key)
    assert (found.reason, found.step, found.value, found.threshold) == ("hiragana", "rules", row.value, 0.2)
    assert [passage.outcome for passage in found.history] == [
        *["passed"] * 3,
        "dropped",
        *["not reached"] * 3,
    ]
    assert [rule.name for rule in found.rules if not rule.holds] == [
        "hiragana",
        "sentence length",
        "top 2-gram",
    ]
    assert (found.text, found.text_from) == (row.text, "dropped")
    assert found.survivor is None


def test_the_survivor_of_a_duplicate(made: Path) -> None:
    _, key = place_of("near duplicate")
    found = explain(made, key)
    assert found.survivor is not None
    assert (found.survivor.doc_id, found.survivor.disposition) == ("doc-010", "kept")
    assert (found.survivor.text or "").startswith("10番の文書。")
    said = found.as_text()
    assert "stays in its place\n  doc-010\n  | 10番の文書。" in said


def test_a_survivor_that_was_dropped_later(tmp_path: Path) -> None:
    rows = [
        MadeRow("同じ。" * 20, "contaminated", "contamination", id="first", detail="niilc"),
        MadeRow("同じ。" * 20, "exact duplicate", "duplicates", id="second", survivor="first"),
        MadeRow("別の。" * 20, id="third"),
    ]
    folder = write_corpus(tmp_path, rows)
    found = explain(folder, "second").survivor
    assert found is not None
    assert (found.disposition, found.reason, found.text) == ("dropped", "contaminated", None)
    assert "(itself dropped: contaminated)" in explain(folder, "second").as_text()


def test_text_that_was_not_kept(tmp_path: Path) -> None:
    folder = write_corpus(
        tmp_path, [MadeRow("短い", "characters", "rules", id="a", text_kept=False), MadeRow("本文")]
    )
    found = explain(folder, "a")
    assert (found.text, found.text_from, found.rules_from) == (None, "none", "none")
    assert "(not kept: only a sample of the dropped texts is)" in found.as_text()
    (drawn,) = sample(folder, "characters")
    assert drawn.text is None
    assert "(its text was not kept)" in drawn.as_text()


def test_the_same_id_and_url_twice(tmp_path: Path) -> None:
    rows = [MadeRow(f"本文{number}", id="same", url="https://example.jp/") for number in range(3)]
    folder = write_corpus(tmp_path, rows, pieces=1)
    # As the build does: the smallest key keeps the id, the others get their key behind it.
    path = folder / "ledger" / "part-00000.parquet"
    table = pq.read_table(path)
    keys = table.column("key").to_pylist()
    names = ["same" if key == min(keys) else f"same~{key[:8]}" for key in keys]
    pq.write_table(table.set_column(table.schema.get_field_index("doc_id"), "doc_id", pa.array(names)), path)
    for asked, by in (("same", "doc_id"), ("https://example.jp/", "url")):
        found = explain(folder, asked)
        assert (found.doc_id, found.found_by) == ("same", by)
        assert sorted(found.others) == sorted(set(names) - {"same"})


def test_a_document_cut_in_parts(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path, [MadeRow("長い。", id="long")], pieces=1)
    path = folder / "documents" / "part-00000.parquet"
    (row,) = pq.read_table(path).to_pylist()
    parts = [
        {**row, "id": f"long#{number:05d}", "text": f"第{number}部", "meta": json.dumps({"parent": "long"})}
        for number in (1, 2)
    ]
    pq.write_table(pa.Table.from_pylist(parts, schema=pq.read_schema(path)), path)
    assert explain(folder, "long").text == "第1部"
    assert sample(folder)[0].text == "第1部"


def test_an_unknown_id_names_near_ones(made: Path) -> None:
    with pytest.raises(UserError, match="no row with the id, key or URL 'doc-04'") as caught:
        explain(made, "doc-04")
    assert "doc-004" in (caught.value.mend or "")
    _, key = place_of("characters")
    with pytest.raises(UserError) as caught:
        explain(made, key[:9])
    assert key in (caught.value.mend or "")
    with pytest.raises(UserError) as caught:
        explain(made, "http://www1.example.jp/page/1")
    assert "https://www1.example.jp/page/1" in (caught.value.mend or "")
    with pytest.raises(UserError):
        explain(made, "")
    with pytest.raises(UserError):
        explain(made, "'; DROP TABLE ledger; --")


def test_rules_are_computed_again_where_they_were_not_measured(tmp_path: Path) -> None:
    profile = {
        "name": "own",
        "language": "ja",
        "classes": {"hiragana": ["3041-3096"]},
        "rules": [
            {"name": "length", "metric": "characters", "min": 5},
            {"name": "kana", "metric": "share", "of": "hiragana", "max": 0.5},
        ],
    }
    row = MadeRow("ひらがな漢字漢字", id="a", url="https://example.jp/a")
    folder = write_corpus(tmp_path, [row], record={"profile": profile})
    found = explain(folder, "a")
    assert found.rules_from == "text"
    assert [(rule.name, rule.value, rule.holds) for rule in found.rules] == [
        ("length", 8.0, True),
        ("kana", 0.5, True),
    ]


def test_text_forms_fit_a_terminal(made: Path) -> None:
    _, key = place_of("listed host")
    texts = [explain(made, asked).as_text() for asked in ("doc-000", key)]
    texts.append(as_text([*sample(made, n=40), *sample(made, "listed host"), *sample(made, "empty")]))
    for text in texts:
        assert all(columns(line) <= 80 for line in text.split("\n"))
        assert "\u202e" not in text
        assert all(character == "\n" or character.isprintable() for character in text)
    assert json.loads(json.dumps(explain(made, key).as_json()))["reason"] == "listed host"
    assert json.loads(json.dumps([one.as_json() for one in sample(made, "empty")]))[0]["text"] == ""


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    measures = {
        "characters": float("inf"),
        "hiragana": float("nan"),
        "sentence length": 30.0,
        "top 2-gram": 0.1,
    }
    row = MadeRow(
        "本文", "characters", "rules", id="a", value=float("nan"), threshold=400.0, measures=measures
    )
    folder = write_corpus(tmp_path, [row])
    made = json.dumps(
        [explain(folder, "a").as_json(), sample(folder, "characters")[0].as_json()], allow_nan=False
    )
    rules = {rule["name"]: (rule["value"], rule["holds"]) for rule in json.loads(made)[0]["rules"]}
    assert (rules["characters"], rules["hiragana"]) == ((None, True), (None, False))
    assert "inf" in explain(folder, "a").as_text()


def test_samples_are_keyed(made: Path, tmp_path: Path) -> None:
    first = sample(made, n=5)
    assert len({one.doc_id for one in first}) == 5
    assert all(one.text and one.reason is None for one in first)
    assert sample(made, n=5) == first
    assert sample(made, n=5, seed=0) == first
    assert sample(made, n=7)[:5] == first
    assert sample(made, n=5, seed=1) != first
    # The same whatever pieces the rows lie in.
    other = write_corpus(tmp_path, small_rows(), pieces=7)
    assert sample(other, n=5) == first
    assert sample(other, "characters", 6, 3) == sample(made, "characters", 6, 3)


def test_dropped_samples_are_those_with_the_smallest_draws(made: Path) -> None:
    keys = [key_of(row, number) for number, row in enumerate(small_rows(), 1) if row.reason == "characters"]
    wanted = sorted(keys, key=lambda key: draw_uint64(0, "corpus.build/examples", key))[:4]
    found = sample(made, "characters", 4)
    assert [one.key for one in found] == wanted
    assert all(one.text and one.threshold == 400 for one in found)


def test_a_large_pool_keeps_the_smallest_draws(tmp_path: Path) -> None:
    rows = [MadeRow(f"本文{number}", "characters", "rules") for number in range(450)]
    folder = write_corpus(tmp_path, rows, pieces=3)
    keys = sorted(
        (key_of(row, number) for number, row in enumerate(rows, 1)),
        key=lambda key: draw_uint64(0, "corpus.build/examples", key),
    )
    assert [one.key for one in sample(folder, "characters", 20)] == keys[:20]
    assert {one.key for one in sample(folder, "characters", 20, seed=5)} <= set(keys[:200])
    assert [one.key for one in sample(folder, "characters", 300)] == keys[:300]


def test_rows_without_texts_come_after_those_with(tmp_path: Path) -> None:
    rows = [MadeRow(f"本文{n}", "characters", "rules", id=f"r{n}", text_kept=n % 3 == 0) for n in range(12)]
    folder = write_corpus(tmp_path, [*rows, MadeRow("残る")])
    found = sample(folder, "characters", 9)
    assert [one.text is not None for one in found] == [True] * 4 + [False] * 5
    assert len({one.doc_id for one in found}) == 9
    shutil.rmtree(folder / "dropped")
    assert [one.text for one in sample(folder, "characters", 3)] == [None] * 3


def test_a_draw_is_even(tmp_path: Path) -> None:
    """Over many seeds every row is drawn about as often as any other, kept or dropped."""
    rows = [MadeRow(f"本文{n}", id=f"k{n}") for n in range(10)]
    rows += [MadeRow(f"本文{n}", "characters", "rules", id=f"d{n}") for n in range(10)]
    folder = write_corpus(tmp_path, rows)
    kept: dict[str, int] = {}
    dropped: dict[str, int] = {}
    with opened(folder) as tables:
        for seed in range(100):
            for counts, found in (
                (kept, kept_examples(tables, 2, seed)),
                (dropped, dropped_examples(tables, 2, seed)["characters"]),
            ):
                for one in found:
                    counts[one.doc_id] = counts.get(one.doc_id, 0) + 1
    for counts in (kept, dropped):
        assert len(counts) == 10
        assert min(counts.values()) >= 6


def test_an_unknown_reason_lists_those_there_are(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no row of .* was dropped for 'hiragna'") as caught:
        sample(made, "hiragna")
    assert (caught.value.mend or "").startswith("reasons: characters (12), hiragana (9), other language (6)")
    with pytest.raises(UserError, match="0 rows"):
        sample(made, n=0)
    folder = write_corpus(tmp_path, [MadeRow("残る")])
    with pytest.raises(UserError) as caught:
        sample(folder, "empty")
    assert "nothing was dropped" in (caught.value.mend or "")
    assert sample(write_corpus(tmp_path / "none", []), "kept") == []
