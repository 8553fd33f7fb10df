"""Settings that only a server has: in the grid, in requests, in the canary, in what is recommended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeping_server import Scripted
from teachers import teacher
from watari.artifact.stage import Silent
from watari.endpoint.settings import Endpoint
from watari.errors import StageFailed, UserError
from watari.leakage.sweep.engine import engine_of
from watari.leakage.sweep.extras import KNOWN, is_on, told
from watari.leakage.sweep.grid import Grid, read_grid
from watari.leakage.sweep.params import Params
from watari.leakage.sweep.probing import extras_of, probes_of
from watari.leakage.sweep.stage import Swept, sweep
from watari.leakage.sweep.table import as_lines

HEAD = "base: {max_new_tokens: 64}\n"


def grid(folder: Path, text: str) -> Grid:
    (folder / "grid.yaml").write_text(text, "utf-8")
    return read_grid(str(folder / "grid.yaml"))


def endpoint(**more: Any) -> Endpoint:
    return Endpoint.model_validate({"base_url": "http://127.0.0.1:1/v1", "model": "m", **more})


def go(folder: Path, model: Endpoint, text: str, out: str = "out", **more: Any) -> Swept:
    (folder / out).mkdir()
    (folder / "grid.yaml").write_text(text if text.startswith("base:") else HEAD + text, "utf-8")
    rows = [{"id": f"p{n}", "prompt": f"What is question {n}?", "expected_lang": "en"} for n in range(6)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    params = Params(
        model=model,
        prompts=str(folder / "prompts.jsonl"),
        grid=str(folder / "grid.yaml"),
        ledger=str(folder / "ledger.sqlite"),
        label="s",
        **more,
    )
    return sweep(params, None, folder / out, Silent())


def test_what_only_a_server_has_is_an_axis_like_any_other(tmp_path: Path) -> None:
    found = grid(
        tmp_path,
        "grid:\n  temperature: [0.5, 1]\n  extra_body: [{dry_multiplier: 0.8, dry_base: 1.75}, none]\n"
        "  cut: [{extra_body: {xtc_probability: 0.5}}, {min_p: 0.1}]\n"
        "cells: [{temperature: 0, extra_body: {dry_multiplier: 0.4}}]\n",
    )
    assert [cell.name for cell in found.cells] == [
        "T 0.5, dry_multiplier 0.8, xtc_probability 0.5, dry_base 1.75",
        "T 0.5, min_p 0.1, dry_multiplier 0.8, dry_base 1.75",
        "T 0.5, xtc_probability 0.5",
        "T 0.5, min_p 0.1",
        "T 1, dry_multiplier 0.8, xtc_probability 0.5, dry_base 1.75",
        "T 1, min_p 0.1, dry_multiplier 0.8, dry_base 1.75",
        "T 1, xtc_probability 0.5",
        "T 1, min_p 0.1",
        "greedy, dry_multiplier 0.4",
    ]
    engine = engine_of(endpoint(), found)
    sent = [engine.settings(cell.sampler, cell.extra) for cell in found.cells]
    assert [(body["dry_multiplier"], body["xtc_probability"], body["min_p"]) for body in sent[:4]] == [
        (0.8, 0.5, 0.0),
        (0.8, 0, 0.1),
        (0, 0.5, 0.0),
        (0, 0, 0.1),
    ]
    assert "dry_base" not in sent[2]  # it says nothing where the switch is off
    assert found.notes == ()
    assert found.cells[0].settings["extra_body"] == {
        "dry_base": 1.75,
        "dry_multiplier": 0.8,
        "xtc_probability": 0.5,
    }


def test_off_is_off_and_one_is_one(tmp_path: Path) -> None:
    fields = "[{typical_p: 1}, {typical_p: 1.0}, none, {typical_p: 0.9}, {taste: 2}, {taste: 2.0}]"
    found = grid(tmp_path, f"grid: {{temperature: [1], extra_body: {fields}}}\n")
    assert [cell.name for cell in found.cells] == ["T 1", "T 1, typical_p 0.9", "T 1, taste 2"]
    assert found.notes[0] == "3 of 6 cells mean the same as another one"
    assert found.notes[1].startswith("taste: only sent in the cells that name it")


def test_base_and_a_cell_are_laid_over_each_other(tmp_path: Path) -> None:
    found = grid(
        tmp_path,
        "base: {top_p: 0.9, extra_body: {a: 1, b: 1}}\ncells: [{extra_body: {b: 2}}, {temperature: 0.5}]\n"
        "grid: {top_p: [none, 0.8]}\n",
    )
    assert [cell.extra for cell in found.cells] == [
        {"a": 1, "b": 1},
        {"a": 1, "b": 1},
        {"a": 1, "b": 2},
        {"a": 1, "b": 1},
    ]
    assert [cell.sampler.top_p for cell in found.cells] == [1.0, 0.8, 0.9, 0.9]
    assert len({cell.name for cell in found.cells}) == 4


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("grid:\n  typical_p: [0.9]\n", 2, "extra_body: [{typical_p: 0.9}, none]"),
        ("grid:\n  extra_body: [0.9]\n", 2, "a map of a server's own fields"),
        ("cells:\n  - {extra_body: {top_k: 3}}\n", 2, "top_k is a setting of its own"),
        ("cells:\n  - {extra_body: {seed: 3}}\n", 2, "seed is no setting of a cell"),
        ("cells:\n  - {extra_body: {max_tokens: 3}}\n", 2, "max_new_tokens"),
        ("cells:\n  - {extra_body: {messages: []}}\n", 2, "messages is no setting of a cell"),
        ("grid:\n  extra_body: [{a: 1}]\n  cut: [{extra_body: {a: 2}}]\n", 3, "a is set by two lists"),
    ],
)
def test_what_cannot_be_a_field_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    with pytest.raises(UserError, match=f"grid.yaml:{line}") as caught:
        grid(tmp_path, text)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_in_this_process_has_none_of_it(tmp_path: Path) -> None:
    found = grid(tmp_path, "grid: {temperature: [1], extra_body: [none, {dry_multiplier: 0.8}]}\n")
    with pytest.raises(UserError) as caught:
        engine_of(None, found)
    assert caught.value.message == (
        "cell T 1, dry_multiplier 0.8: extra_body: dry_multiplier: a model in this process has no such setting"
    )
    assert "--model name=URL" in str(caught.value.mend)


def test_an_endpoint_that_sets_it_too_is_refused(tmp_path: Path) -> None:
    found = grid(tmp_path, "grid: {temperature: [1], extra_body: [none, {dry_multiplier: 0.8}]}\n")
    with pytest.raises(UserError, match="its extra_body sets dry_multiplier"):
        engine_of(endpoint(extra_body={"dry_multiplier": 0.5}), found)
    # What the grid has not is none of its business.
    assert engine_of(endpoint(extra_body={"chat_template_kwargs": {}}), found)


@pytest.mark.parametrize(
    ("name", "value"),
    [("typical_p", 0.9), ("top_n_sigma", 1.5), ("xtc_probability", 0.5), ("dry_multiplier", 0.8)],
)
def test_the_canary_proves_what_is_known(tmp_path: Path, name: str, value: float) -> None:
    text = f"grid: {{temperature: [1], extra_body: [none, {{{name}: {value}}}]}}\n"
    with teacher(Scripted(), "good") as model:
        assert go(tmp_path, model, text).metrics["canary"][name] == "applied"
    with teacher(Scripted(name), "deaf") as model:
        if KNOWN[name].proof == "changed" and not KNOWN[name].sure:
            assert go(tmp_path, model, text, "bad").metrics["canary"][name] == "unclear"
        else:
            with pytest.raises(StageFailed, match=f"deaf does not apply {name}"):
                go(tmp_path, model, text, "bad")


def test_the_canary_says_what_it_cannot_prove(tmp_path: Path) -> None:
    text = (
        "base: {max_new_tokens: 64, extra_body: {fixed: true}}\n"
        "grid: {temperature: [1], extra_body: [none, {taste: 2}, {smell: 1}]}\n"
    )
    with teacher(Scripted(), "model") as model:
        found = go(tmp_path, model, text)
    checks = {check.setting: check for check in found.sweep.checks}
    assert (checks["taste"].verdict, checks["smell"].verdict) == ("applied", "unclear")
    assert (checks["fixed"].verdict, checks["fixed"].prompts) == ("unclear", 0)
    lines = "\n".join(as_lines(found.sweep.as_json()))
    assert "smell 1 gives something else than without it: the same in 4 of 4" in " ".join(lines.split())
    assert "fixed unclear: is sent in every cell: there is nothing to compare with" in " ".join(lines.split())


def test_a_seed_that_is_ignored_proves_no_typical_p(tmp_path: Path) -> None:
    """A server with one seed of its own gives the same to any of ours, with typical_p or without."""
    text = "grid: {temperature: [1], extra_body: [none, {typical_p: 0.9}]}\n"
    with teacher(Scripted("seed", "typical_p"), "model") as model:
        assert go(tmp_path, model, text).metrics["canary"]["typical_p"] == "unclear"


def test_what_the_recommended_setting_sends_besides_is_told(tmp_path: Path) -> None:
    text = "grid: {temperature: [1], extra_body: [{taste: 2, words: [a, b]}]}\n"
    with teacher(Scripted(), "model") as model:
        go(tmp_path, model, text)
    saved = json.loads((tmp_path / "out" / "sweep.json").read_text("utf-8"))
    assert saved["recommended"]["not_in_the_file"] == ["taste", "words"]
    assert saved["recommended"]["settings"]["extra_body"] == {"taste": 2, "words": ["a", "b"]}
    assert saved["recommended"]["request"] == {
        "temperature": 1.0,
        "max_tokens": 64,
        "taste": 2,
        "words": ["a", "b"],
    }
    assert "taste" not in (tmp_path / "out" / "generation_config.json").read_text("utf-8")
    html = (tmp_path / "out" / "sweep.html").read_text("utf-8")
    assert "What requests send" in html
    assert "&#34;taste&#34;: 2" in html
    lines = (tmp_path / "out" / "sweep.txt").read_text("utf-8")
    assert "taste, words: generation_config.json cannot hold them" in lines
    assert '"taste": 2' in lines


def test_names_tell_long_values_apart() -> None:
    one, other = told("a", ["x" * 40, 1]), told("a", ["x" * 40, 2])
    assert one != other
    assert max(len(one), len(other)) < 30
    assert told("a", "1") != told("a", 1)
    assert told("a", 0.123456789) != told("a", 0.12345678)


def test_the_strongest_value_of_an_unknown_field_is_asked_with_its_whole_body(tmp_path: Path) -> None:
    found = grid(
        tmp_path, "grid: {temperature: [1], extra_body: [{a: 1, b: x}, {a: -3, b: y}, {a: 2, b: z}]}\n"
    )
    extras = extras_of(found.cells)
    assert extras.others["a"] == {"a": -3, "b": "y"}
    assert {probe.name for probe in probes_of(found.cells)} >= {"a", "hot a", "b", "hot b"}
    assert not is_on("typical_p", 1)
    assert is_on("a", 0)
