"""The report of a finished corpus: its account, its rules, its page; escaping; builds with nothing in them."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_corpus import RULES, MadeRow, small_rows, write_corpus
from watari.corpus.report import numbers
from watari.corpus.report.breakdowns import clusters_of, contamination_of, grouped, masked_of
from watari.corpus.report.flow import Flow, flow_of
from watari.corpus.report.page import page, report
from watari.corpus.report.rules import arriving_at_rules, rule_figures
from watari.corpus.report.sankey import NARROW, WIDE, sankey_svg
from watari.corpus.report.tables import opened
from watari.corpus.report.wrapping import wrapped
from watari.errors import UserError
from watari.pages.visible import columns

_VOID = {"meta", "br", "img", "input", "link", "hr"}


class _Elements(HTMLParser):
    """Collects a page's elements, and finds those that are not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def parsed(html: str) -> _Elements:
    elements = _Elements()
    elements.feed(html)
    elements.close()
    assert elements.faults == []
    assert elements.open == []
    return elements


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "made [1]*", small_rows())


@pytest.fixture(scope="module")
def html(made: Path) -> str:
    return page(made)


def flow(folder: Path) -> Flow:
    with opened(folder) as tables:
        return flow_of(tables)


def test_the_account_is_that_of_the_rows(made: Path) -> None:
    rows = small_rows()
    found = flow(made)
    assert found.read.documents == len(rows)
    assert found.kept.documents == sum(row.reason is None for row in rows)
    assert {loss.reason: loss.amount.documents for loss in found.losses} == {
        reason: sum(row.reason == reason for row in rows) for reason in {row.reason for row in rows} - {None}
    }
    assert found.read.bytes == sum(len(row.text.encode()) for row in rows)
    assert found.holds
    assert len(found.checks) == 3 + 8
    # What enters a step is what went out of the one before.
    for step, after in pairwise(found.steps):
        gone = sum(loss.amount.documents for loss in step.losses)
        assert after.entering.documents == step.entering.documents - gone
    assert [loss.reason for step in found.steps if step.name == "rules" for loss in step.losses] == [
        "characters",
        "hiragana",
    ]


def test_tokens_are_estimated_by_language(made: Path) -> None:
    found = flow(made)
    by_hand = sum(
        len(row.text.encode()) / {"ja": 5.0, "en": 4.0}.get(row.language or "", 4.5) for row in small_rows()
    )
    assert found.read.tokens == pytest.approx(by_hand)


def test_tokens_from_characters(tmp_path: Path) -> None:
    record = {"bytes_per_token": None, "tokens_per_character": {"ja": 0.5}, "tokenizer": "other"}
    folder = write_corpus(tmp_path, [MadeRow("あ" * 10), MadeRow("い" * 6, "empty", "read")], record=record)
    found = flow(folder)
    assert (found.read.tokens, found.kept.tokens) == (8.0, 5.0)
    assert "characters per token by language, measured with other (ja 2)" in page(folder)


def test_a_lost_row_is_seen(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lost"
    shutil.copytree(made, folder)
    path = folder / "ledger" / "part-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    found = flow(folder)
    assert not found.holds
    assert "The account does not hold" in page(folder)


@pytest.mark.parametrize("change", ["documents", "bytes", "hash_sum"])
def test_a_wrong_sum_is_seen(made: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(made, folder)
    record = json.loads((folder / "corpus.json").read_text("utf-8"))
    sums = record["totals"]["dropped"]["hiragana"]
    sums[change] = f"{int(sums[change], 16) + 1:016x}" if change == "hash_sum" else sums[change] + 1
    (folder / "corpus.json").write_text(json.dumps(record), "utf-8")
    (wrong,) = [check for check in flow(folder).checks if not check.holds]
    assert (wrong.what, wrong.about) == ("check_reason", "hiragana")


def test_a_changed_document_is_seen(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(made, folder)
    path = folder / "documents" / "part-00000.parquet"
    table = pq.read_table(path)
    hashes = [value ^ (place == 3) for place, value in enumerate(table.column("raw_hash").to_pylist())]
    at = table.schema.get_field_index("raw_hash")
    pq.write_table(table.set_column(at, "raw_hash", pa.array(hashes, pa.uint64())), path)
    (wrong,) = [check for check in flow(folder).checks if not check.holds]
    assert wrong.what == "check_documents"


def test_documents_cut_in_parts_count_once(tmp_path: Path) -> None:
    folder = write_corpus(
        tmp_path, [MadeRow("長い文書。" * 40, id="long"), MadeRow("短い。", id="own#00002")]
    )
    path = folder / "documents" / "part-00000.parquet"
    (row,) = pq.read_table(path).to_pylist()
    parts = [
        {
            **row,
            "id": f"long#{number:05d}",
            "meta": json.dumps({"parent": "long", "part": number, "parts": 3}),
        }
        for number in (1, 2, 3)
    ]
    pq.write_table(pa.Table.from_pylist(parts, schema=pq.read_schema(path)), path)
    assert flow(folder).holds


def by_hand(rows: list[dict[str, float | None]], name: str, **limits: float) -> int:
    """Count the rows that keep every rule, with some limits of one rule changed."""

    def keeps(row: dict[str, float | None]) -> bool:
        for rule in RULES:
            value = row[str(rule["name"])]
            bounds = {**rule, **(limits if rule["name"] == name else {})}
            low, high = bounds.get("min", -1e9), bounds.get("max", 1e9)
            if value is None or not low <= value <= high:  # type: ignore[operator]
                return False
        return True

    return sum(keeps(row) for row in rows)


def test_moved_thresholds_change_what_a_count_by_hand_says(made: Path) -> None:
    rows = [row.measures for row in small_rows() if row.measures is not None]
    with opened(made) as tables:
        found = flow_of(tables)
        arriving = arriving_at_rules(found, tables.record.profile.rules if tables.record.profile else [])
        figures = rule_figures(tables, arriving)
    assert [figure.rule.name for figure in figures] == [rule["name"] for rule in RULES]
    assert arriving == 69
    moved = 0
    for figure in figures:
        assert figure.sample == len(rows)
        assert sum(bar.holding + bar.breaking for bar in figure.bins) == figure.sample - figure.unmeasured
        assert sum(bar.breaking for bar in figure.bins) == figure.breaking - figure.unmeasured
        name = figure.rule.name
        for shift in figure.shifts:
            change = by_hand(rows, name, **{shift.limit: shift.threshold}) - by_hand(rows, name)
            assert shift.change == change
            assert shift.documents == round(change / len(rows) * 69)
            assert shift.low <= shift.share <= shift.high
            moved += change != 0
    assert moved >= 2
    sentence = figures[2]
    assert (sentence.breaking, sentence.alone, sentence.unmeasured) == (9, 0, 9)
    assert [(shift.limit, shift.threshold) for shift in sentence.shifts] == [
        ("min", pytest.approx(18)),
        ("min", pytest.approx(22)),
        ("max", pytest.approx(81)),
        ("max", pytest.approx(99)),
    ]


def test_strict_limits_are_strict(tmp_path: Path) -> None:
    rules = [{"name": "characters", "above": 10.0}, {"name": "hiragana", "below": 0.5}]
    measures = [(10.0, 0.1), (10.5, 0.5), (11.0, 0.49), (float("nan"), 0.1)]
    rows = [
        MadeRow("あ", measures={"characters": a, "hiragana": b, "sentence length": 1.0, "top 2-gram": 0.0})
        for a, b in measures
    ]
    profile = {"name": "strict", "rules": rules}
    folder = write_corpus(tmp_path, rows, record={"profile": profile})
    with opened(folder) as tables:
        first, second = rule_figures(tables, None)
    assert (first.breaking, first.unmeasured, second.breaking) == (2, 1, 1)
    assert [shift.documents for shift in first.shifts] == [None, None]
    assert [shift.change for shift in first.shifts] == [1, -1]


def test_breakdowns(made: Path) -> None:
    rows = small_rows()
    with opened(made) as tables:
        sources = grouped(tables, "source")
        hosts = grouped(tables, "host", 2)
        languages = {group.name: group for group in grouped(tables, "language").groups}
        clusters = clusters_of(tables)
        (task,) = contamination_of(tables)
        masked = masked_of(tables)
    assert [(group.name, group.documents) for group in sources.groups] == [
        ("web", 61),
        ("books", 19),
        ("<i>source</i>", 1),
    ]
    assert sources.groups[0].reasons[0] == ("characters", 12)
    assert (len(hosts.groups), hosts.total) == (2, 6)
    assert (languages["en"].documents, languages["en"].kept, languages[""].documents) == (6, 0, 5)
    assert [(one.doc_id, one.size) for one in clusters.largest] == [
        ("doc-030", 6),
        ("doc-020", 5),
        ("doc-010", 4),
        ("doc-000", 3),
    ]
    assert clusters.sizes == [(1, 1, 36, 36), (2, 2, 0, 0), (3, 3, 1, 3), (4, 4, 1, 4), (5, 8, 2, 11)]
    assert (task.name, task.dropped, task.figures["items"]) == ("niilc", 1, 200)
    assert masked == [("email", sum(sum(row.masked.values()) for row in rows), 5)]


def test_a_page_is_well_formed_and_the_same_again(made: Path, html: str) -> None:
    parsed(html)
    assert page(made, threads=1, memory="200MB") == html
    assert report(made).read_text("utf-8") == html
    assert str(made.parent) not in html
    for word in (
        "The account holds",
        "読み込んだ文書のゆくえ",
        "near duplicate",
        "近似重複",
        "niilc",
        "doc-030",
    ):
        assert word in html


def test_nothing_from_outside_acts_on_the_page(html: str) -> None:
    elements = parsed(html)
    assert [tag for tag, _ in elements.tags if tag in ("img", "i", "b", "u", "iframe", "link", "object")] == [
        "i"
    ] * sum(tag == "i" for tag, _ in elements.tags)
    assert all(set(attributes) <= {"style", "class"} for tag, attributes in elements.tags if tag == "i")
    assert sum(tag == "script" for tag, _ in elements.tags) == 1
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]
    assert not [
        value
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("href", "src") and not (value or "").startswith("#")
    ]
    policy = next(attributes["content"] for _, attributes in elements.tags if "http-equiv" in attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http://" not in re.sub(r"<bdi>.*?</bdi>", "", html)


def test_unseen_characters_are_shown(html: str) -> None:
    assert "⟨U+202E⟩evil⟨U+202C⟩ ␇␀" in html
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x7f]", html)


@pytest.mark.parametrize("which", ["nothing", "kept", "dropped"])
def test_builds_with_nothing_in_them(tmp_path: Path, which: str) -> None:
    rows = {
        "nothing": [],
        "kept": [MadeRow("本文。" * 20)],
        "dropped": [MadeRow("", "empty", "read", language=None, license=None)],
    }[which]
    folder = write_corpus(tmp_path, rows, pieces=1, record={"profile": None, "bytes_per_token": None})
    html = page(folder)
    parsed(html)
    assert flow(folder).holds
    said = {
        "nothing": "Nothing was read.",
        "kept": "No document was dropped.",
        "dropped": "No document was kept.",
    }
    assert said[which] in html
    assert 'data-set-measure="tokens"' not in html
    assert "No tokenizer was given" in html or which == "nothing"


def test_a_build_without_samples_and_record(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(made, folder)
    for name in ("measured", "dropped"):
        shutil.rmtree(folder / name)
    (folder / "corpus.json").unlink()
    html = page(folder)
    parsed(html)
    assert "No sample of measured documents" in html
    assert "(its text was not kept)" in html
    assert "the ledger is compared with the documents only" in html


def test_huge_counts(tmp_path: Path) -> None:
    """Sums beyond 64 bits are still exact, and everything that is written stays short."""
    rows = [MadeRow("あ" * 9), MadeRow("い", "empty", "read")]
    folder = write_corpus(tmp_path, rows, pieces=1, record={"totals": {}})
    path = folder / "ledger" / "part-00000.parquet"
    table = pq.read_table(path)
    huge = 2**62
    for name in ("bytes", "characters"):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([huge, huge], pa.int64()))
    pq.write_table(pa.concat_tables([table] * 4), path)
    found = flow(folder)
    assert found.read.bytes == 8 * huge
    html = page(folder)
    parsed(html)
    assert f"{8 * huge:,}" in html
    assert "36.9 EB" in html or "37 EB" in html


def test_a_folder_that_is_no_build(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        page(tmp_path / "none")
    with pytest.raises(UserError, match="no finished corpus"):
        page(tmp_path)
    folder = write_corpus(tmp_path / "broken", [MadeRow("あ")], pieces=1)
    (folder / "ledger" / "part-00000.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        page(folder)
    (folder / "corpus.json").write_text('{"totals": {"in": {"documents": "many"}}}', "utf-8")
    with pytest.raises(UserError, match=r"totals\.in\.documents"):
        page(folder)


def test_sankey_conserves_widths(made: Path) -> None:
    """The branches' ends together are as high as the stream loses in width."""
    found = flow(made)
    for canvas in (WIDE, NARROW):
        svg = str(sankey_svg(found, "documents", canvas, labelled_by="x"))
        parsed(svg)
        ends = [
            float(value)
            for value in re.findall(r'class="node" x="[\d.]+" y="[\d.]+" width="5" height="([\d.]+)"', svg)
        ]
        dropped = found.read.documents - found.kept.documents
        assert sum(ends) == pytest.approx(
            canvas.stream * dropped / found.read.documents, abs=0.06 * len(ends)
        )
        assert all(float(value) >= 0 for value in re.findall(r'(?:width|height)="(-?[\d.]+)"', svg))
        assert "-nan" not in svg
        # The stream ends as wide as what was kept.
        edges = re.findall(r"H([\d.]+)", re.findall(r'class="stream" d="([^"]*)"', svg)[0])
        kept = canvas.stream * found.kept.documents / found.read.documents
        assert float(edges[0]) == pytest.approx(canvas.left + canvas.stream, abs=0.1)
        assert float(edges[-1]) == pytest.approx(canvas.left + kept, abs=0.1)
        # No line of text stands on another one.
        lines = [float(y) for y in re.findall(r'<text class="reason" x="[\d.]+" y="([\d.]+)"', svg)]
        assert all(after - before > 15 for before, after in pairwise(lines))


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A ledger of 300,000 rows and 100,000 hosts is told with 64 MB for DuckDB."""
    folder = write_corpus(tmp_path, [MadeRow("あ" * 5, id="one")], pieces=1, record={"totals": {}})
    names = pq.read_schema(folder / "ledger" / "part-00000.parquet").names
    made = {
        "key": "md5(i::VARCHAR)",
        "doc_id": "md5(i::VARCHAR)",
        "disposition": "CASE WHEN i % 3 = 0 THEN 'kept' ELSE 'dropped' END",
        "reason": "CASE WHEN i % 3 = 0 THEN NULL ELSE 'reason ' || (i % 7) END",
        "step": "'rules'",
        "source": "'s' || (i % 50)",
        "url": "'https://h' || (i % 100000) || '.example/'",
        "bytes": "i",
        "characters": "i",
        "raw_hash": "hash(i)",
    }
    columns = ", ".join(f"{made.get(name, 'NULL')} AS {name}" for name in names)
    target = folder / "ledger" / "part-00000.parquet"
    duckdb.sql(f"COPY (SELECT {columns} FROM range(300000) t(i)) TO '{target}' (FORMAT parquet)")
    html = page(folder, memory="64MB", threads=1)
    assert "100,000" in html
    assert "300,000" in html


@given(st.text(alphabet="ab 日本、"), st.integers(10, 40))
def test_wrapping_loses_nothing_but_blanks(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns(line) <= width + 1 for line in lines)


def test_numbers() -> None:
    assert [numbers.size(value) for value in (0, 999, 1_530_000_000, 10**19)] == [
        "0 B",
        "999 B",
        "1.53 GB",
        "10 EB",
    ]
    assert [numbers.figure(value) for value in (None, float("nan"), 0.2, 1 / 3, 12345.6, 1e-6, 90)] == [
        "–",
        "–",
        "0.2",
        "0.3333",
        "12,346",
        "1.00e-06",
        "90",
    ]
    assert numbers.signed(-3, "-3") == "−3"
