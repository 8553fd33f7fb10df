"""The page: self-contained, well-formed, the same twice, and safe against what models write."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from watari.artifact.stage import InputArtifact
from watari.pages.page import writable
from watari.report.page import Page, build, json_block, run_times, with_run_times

VOID = {"meta", "br", "img", "input", "link", "hr", "source", "wbr", "col"}


class Checker(HTMLParser):
    """Checks that tags nest, collects ids, fragments, attributes and the text of scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fragments: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> repeats an attribute: {names}")
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and (value or "").startswith("#"):
                self.fragments.append((value or "")[1:])
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)


def checked(html: str) -> Checker:
    """Parse `html` and assert that it is well-formed and that its links lead somewhere."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert not checker.faults
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert set(checker.fragments) <= set(checker.ids)
    return checker


def test_well_formed(page: Page) -> None:
    checker = checked(page.html)
    assert {"headline", "graph", "curves", "tables", "samples", "details", "times"} <= set(checker.ids)


def test_nothing_is_fetched(page: Page) -> None:
    checker = checked(page.html)
    for tag, name, value in checker.attributes:
        if name in ("src", "href", "srcset", "action", "poster", "data", "xlink:href"):
            assert name == "href", (tag, name)
            assert value.startswith("#"), (tag, value)
        assert not name.startswith("on"), (tag, name)
        assert "url(" not in value
    assert not any(
        tag in ("link", "iframe", "img", "object", "base", "form") for tag, _, _ in checker.attributes
    )
    style = page.html[page.html.index("<style>") : page.html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"https?://", style)
    script = next(text for attrs, text in checker.scripts if not attrs)
    assert not re.search(r"https?://|fetch\(|XMLHttpRequest|import\(|WebSocket", script)


def test_policy_allows_only_the_pages_own_script(page: Page) -> None:
    import base64
    import hashlib

    checker = checked(page.html)
    policy = next(
        value for tag, name, value in checker.attributes if tag == "meta" and "default-src" in value
    )
    (script,) = [text for attrs, text in checker.scripts if not attrs]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_same_artifacts_same_bytes(artifacts: list[InputArtifact], page: Page) -> None:
    again = build(artifacts)
    assert again.html == page.html
    assert again.json == page.json


def test_other_times_same_bytes(fakes: ModuleType, tmp_path: Path, page: Page) -> None:
    """A run somewhere else, at another time and speed, gives the same page."""
    made = fakes.full_run(tmp_path / "elsewhere")
    moved = [
        InputArtifact(
            artifact.name,
            artifact.path,
            artifact.manifest.model_copy(
                update={
                    "started": "2031-12-31T23:59:59.000+00:00",
                    "seconds": 99.125,
                    "performance": {"tokens_per_second": 42.4242},
                    "versions": {"torch": "9.9"},
                    "runtime": {"device": "cuda", "workers": 77},
                }
            ),
            artifact.selection,
        )
        for artifact in made
    ]
    assert build(moved).html == page.html


def test_says_no_place_time_or_speed(page: Page, artifacts: list[InputArtifact]) -> None:
    for said in (page.html, page.json):
        assert str(artifacts[0].path.parent) not in said
        assert "/home/someone" not in said
        assert "12345.678" not in said
        assert "2025-01-01" not in said
    assert "text.jsonl" in page.html


def test_report_json_lists_stages(page: Page, artifacts: list[InputArtifact]) -> None:
    listed = json.loads(page.json)
    assert [stage["name"] for stage in listed["stages"]] == [artifact.name for artifact in artifacts]
    assert [stage["digest"] for stage in listed["stages"]] == [a.manifest.digest for a in artifacts]


def test_every_stage_has_its_manifest(page: Page, artifacts: list[InputArtifact]) -> None:
    for artifact in artifacts:
        manifest = artifact.manifest
        for text in (manifest.key, manifest.digest, *(entry.hash for entry in manifest.files)):
            assert text in page.html


def test_run_times_go_in_and_come_out(page: Page) -> None:
    assert run_times(page.html) is None
    record = {
        "stages": [
            {"name": "</script><script>alert(1)</script>", "seconds": 1.5, "performance": {}, "state": "done"}
        ],
        "started": "a & b",
        "finished": "\u2028",
        "watari": "0.1.0",
    }
    timed = with_run_times(page.html, record)
    assert run_times(timed) == record
    assert "<script>alert" not in timed
    checked(timed)
    other = with_run_times(timed, {"stages": []})
    assert run_times(other) == {"stages": []}
    assert timed.replace(json_block(record), "null") == page.html


def test_run_times_need_a_report() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_run_times("<p>another page</p>", {})


HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- <style>*{display:none}</style>",
    "{{ 7 * 7 }} {% raw %}",
    "\u202eevil\x00\x07\ud800",
    '<script type="application/json" id="watari-run">{"stages":[]}</script>',
    "__proto__",
)


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_text_stays_text(fakes: ModuleType, tmp_path: Path, evil: str) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    # Surrogates cannot stand in a parquet or in a digest; a JSON file can hold them as escapes.
    clean = writable(evil)
    run.stage(
        f"m {clean}",
        f"model.{clean}",
        Kind.MODEL,
        parameters={clean: clean},
        metrics={clean: 1, "parameters": 3},
    )
    sample = {
        "language": evil,
        "group": evil,
        "messages": [{"role": evil, "content": evil}],
        "response": evil,
        "answers": [evil],
        "right": False,
        "finish_reason": "stop",
    }
    run.stage(
        f"e {clean}",
        "eval.exact",
        Kind.SCORES,
        inputs={"model": [f"m {clean}"]},
        rows=[fakes.score("exact_match", "ja", 0.5, 10), fakes.score(clean, clean, 0.5, 10)],
        files={"samples.jsonl": json.dumps(sample) + "\n"},
    )
    run.stage(
        f"t@{clean}",
        "train.sft",
        Kind.MODEL,
        inputs={"model": [f"m {clean}"]},
        files={"train_log.jsonl": fakes.log_lines(5, 2, 1, lr=1e-3, tokens=9)},
    )
    run.stage(
        f"d {clean}",
        "data.import",
        Kind.CONVERSATIONS,
        metrics={
            "rows_in": 1,
            "kept": 0,
            "dropped": 1,
            "dropped_by_reason": {clean: 1},
            "languages": {clean: 1},
        },
        rows=[{"id": "1", "language": clean, "messages": [{"role": clean, "content": clean}]}],
    )
    page = build(run.all(), title=clean)
    page.html.encode("utf-8")
    page.json.encode("utf-8")
    checker = checked(with_run_times(page.html, {"stages": [{"name": clean, "state": clean, "seconds": 1}]}))
    assert [tag for tag, _, _ in checker.attributes if tag == "img"] == []
    assert len([attrs for attrs, _ in checker.scripts if not attrs]) == 1
    assert len(checker.scripts) == 5
    assert not any(name.startswith("on") for _, name, _ in checker.attributes)
    assert run_times(page.html) is None
    assert "\x00" not in page.html
    if "<" in evil:
        assert evil not in page.html


def test_broken_control_characters_are_replaced() -> None:
    assert writable("a\x00b\ud800c\td\n") == "a\ufffdb\ufffdc\td\n"


def test_missing_parts_leave_no_trace(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    run.stage("base", "model.load", Kind.MODEL, metrics={"parameters": 5})
    checker = checked(build(run.all()).html)
    assert {"graph", "details", "tables"} <= set(checker.ids)
    assert not {"headline", "curves", "samples"} & set(checker.ids)


def test_an_empty_run_is_a_page() -> None:
    checker = checked(build([]).html)
    assert "details" in checker.ids


def test_unknown_stage_kinds_are_shown(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    run.stage("votes", "arena.rank", Kind.VOTES, metrics={"odd": [1, {"x": None}], "nested": {"a": {}}})
    html = build(run.all()).html
    checked(html)
    assert "/metrics/nested/a" in html


def test_variants_stand_side_by_side(variants: list[InputArtifact]) -> None:
    html = build(variants).html
    checked(html)
    scores = html[html.index('id="scores1-caption"') :]
    head = scores[scores.index("<thead>") : scores.index("</thead>")]
    assert head.count("vocabulary=8k") == 3
    assert head.index("vocabulary=none") < head.index("vocabulary=4k") < head.index("vocabulary=8k")


def test_cached_names_are_resolved_by_key(fakes: ModuleType, tmp_path: Path) -> None:
    """An artifact made by another recipe names its inputs as that recipe did; the page uses this one's names."""
    from watari.artifact.kinds import Kind
    from watari.report.stages import read_stages

    run = fakes.FakeRun(tmp_path)
    run.stage("theirs", "model.load", Kind.MODEL)
    run.stage("eval", "eval.perplexity", Kind.SCORES, inputs={"model": ["theirs"]})
    renamed = run.artifacts["theirs"]
    stages = read_stages(
        [InputArtifact("ours", renamed.path, renamed.manifest, renamed.selection), run.artifacts["eval"]]
    )
    assert stages[1].sources[0].name == "ours"
    assert stages[1].subject is stages[0]
    assert stages[1].level == 1


def test_anchors_are_unique(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind
    from watari.report.stages import read_stages

    run = fakes.FakeRun(tmp_path)
    for name in ("a b", "a-b", "a/b", "文書", "日本"):
        run.stage(name, "model.load", Kind.MODEL)
    anchors = [stage.anchor for stage in read_stages(run.all())]
    assert len(set(anchors)) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9-]+", anchor) for anchor in anchors)


def test_made_data_is_told_rung_by_rung(fakes: ModuleType, tmp_path: Path) -> None:
    from watari.artifact.kinds import Kind

    run = fakes.FakeRun(tmp_path)
    rungs = [
        {"name": "fast", "model": "m", "asked": 917, "accepted": 803, "faults": {"refusal": 31, "<b>": 83}},
        {"name": "strong", "model": "n", "asked": 114, "accepted": 97, "faults": {}},
    ]
    metrics = {
        "rows_in": 900,
        "kept": 888,
        "repaired": 41,
        "escalated": 97,
        "dropped": 12,
        "cost": 0.75,
        "rungs": rungs,
    }
    run.stage("made", "synth.translate", Kind.CONVERSATIONS, metrics=metrics)
    page = build(run.all())
    checked(page.html)
    start = page.html.index("Made data, rung by rung")
    table = page.html[start : page.html.index("</table>", start)]
    for figure in ("917", "803", "83", "31", "114", "97", "41", "0.750"):
        assert f">{figure}</a>" in table
    assert table.index(">83</a>") < table.index(">31</a>"), "the commonest fault comes first"
    assert "&lt;b&gt;" in table
    assert {"asked", "refusal", "cost"} <= {figure["name"] for figure in json.loads(page.json)["figures"]}
