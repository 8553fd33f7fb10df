"""Grid files: what multiplies, what means the same, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from watari.endpoint.settings import Endpoint
from watari.errors import UserError
from watari.generate.sampler import SHISA_CARD, Sampler
from watari.leakage.sweep.engine import engine_of
from watari.leakage.sweep.grid import Grid, cell_name, packaged, read_grid


def grid(folder: Path, text: str, **more: object) -> Grid:
    path = folder / "grid.yaml"
    path.write_text(text, "utf-8")
    return read_grid(str(path), **more)  # type: ignore[arg-type]


def names(found: Grid) -> list[str]:
    return [cell.name for cell in found.cells]


def test_lists_multiply_and_single_cells_stand_beside_them(tmp_path: Path) -> None:
    found = grid(
        tmp_path,
        "base: {max_new_tokens: 50}\n"
        "grid:\n  temperature: [0.5, 1]\n  truncation: [{top_p: 0.9}, {min_p: 0.1}, none]\n"
        "cells:\n  - {temperature: 0}\n  - {temperature: 0.5, top_p: 0.9}\n",
    )
    assert names(found) == [
        "T 0.5, top_p 0.9",
        "T 0.5, min_p 0.1",
        "T 0.5",
        "T 1, top_p 0.9",
        "T 1, min_p 0.1",
        "T 1",
        "greedy",
    ]
    assert {cell.sampler.max_new_tokens for cell in found.cells} == {50}
    assert found.varied == ("temperature", "top_p", "min_p")
    assert found.notes == ("1 of 8 cells means the same as another one",)
    assert found.default is None


def test_greedy_cells_are_one_whatever_they_cut(tmp_path: Path) -> None:
    found = grid(tmp_path, "grid: {temperature: [0, 1], top_p: [0.9, 1], repetition_penalty: [1, 1.2]}\n")
    assert names(found) == [
        "greedy",
        "greedy, rep 1.2",
        "T 1, top_p 0.9",
        "T 1, top_p 0.9, rep 1.2",
        "T 1",
        "T 1, rep 1.2",
    ]


def test_marks_become_cells_and_the_first_is_the_default(tmp_path: Path) -> None:
    text = "grid: {temperature: [0.7, 1]}\nmarks:\n  mine: {temperature: 0.7}\n  other: {temperature: 0.2}\n"
    found = grid(tmp_path, text, own={"temperature": 1.0, "top_k": 20, "eos_token_id": 2})
    assert [(cell.name, cell.marks) for cell in found.cells] == [
        ("T 0.7", ("mine",)),
        ("T 1", ()),
        ("T 0.2", ("other",)),
        ("T 1, top_k 20", ("the model's own",)),
    ]
    assert found.default is not None
    assert found.default.name == "T 0.7"
    alone = grid(tmp_path, "grid: {temperature: [0.7, 1]}\n", own={"do_sample": False})
    assert alone.default is not None
    assert alone.default.name == "greedy"
    assert grid(tmp_path, "cells: [{}]\n", own={"eos_token_id": 2}).default is None


def test_the_packaged_grid_marks_the_seed_card(tmp_path: Path) -> None:
    assert packaged() == ["shisa"]
    found = read_grid("shisa")
    assert len(found.cells) == 4 * 4 * 3
    assert found.default is not None
    assert found.default.sampler == SHISA_CARD.with_settings(max_new_tokens=500)
    (generations,) = [cell for cell in found.cells if "Shisa's generations" in cell.marks]
    assert generations.name == "T 0.1, top_p 0.95, rep 1.15"
    shorter = read_grid("shisa", max_tokens=7)
    assert {cell.sampler.max_new_tokens for cell in shorter.cells} == {7}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("grid:\n  typical_p: [0.9]\n", 2, "typical_p is no setting"),
        ("grid:\n  temperature: []\n", 2, "an empty list"),
        ("grid:\n  temperature: [0.1, hot]\n", 2, "a number is wanted"),
        ("grid:\n  temperature: [0.1]\n  top_p: [1.5]\n", 3, "top_p"),
        ("grid:\n  a: [{top_p: 0.9}]\n  top_p: [0.5]\n", 3, "set by two lists"),
        ("grid:\n  a: [{tpo_p: 0.9}]\n", 2, "tpo_p"),
        ("cells:\n  - {temperature: -1}\n", 2, "temperature"),
        ("cells:\n  - {temperature: true}\n", 2, "a number is wanted"),
        ("cells: {temperature: 1}\n", 1, "list of maps"),
        ("marks: {a: {temperature: 1}}\n", 1, "no cell"),
        ("griid: {}\n", 1, "unknown key"),
        ("- 1\n", 1, "a map"),
        ("grid: {temperature: [1], temperature: [2]}\n", 1, "twice"),
        ("grid: [\n", 2, "malformed"),
        ("grid:\n  temperature: [.nan]\n", 2, "not '.nan'"),
        ("grid:\n  temperature:\n", 2, "nothing is given"),
        ("grid:\n  temperature: ['0.7']\n", 2, "write 0.7 without quotes"),
        ("grid:\n  temperature: [[1]]\n", 2, "a number is wanted"),
        ("grid:\n  stop: [stop]\n", 2, "a list of texts"),
        ("grid:\n  stop: [['']]\n", 2, "a list of texts"),
        (f"grid:\n  top_k: [{'9' * 200}]\n", 2, "too large"),
        ("base: 3\ncells: [{}]\n", 1, "a map of settings"),
        ("cells:\n  - {extra_body: {a: .nan}}\n", 2, "cannot be sent as JSON"),
        (f"cells:\n  - {{extra_body: {{a: {'9' * 30}}}}}\n", 2, "cannot be sent as JSON"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(Exception, match=f"grid.yaml:{line}") as caught:
        grid(tmp_path, text)
    assert what in str(caught.value)
    assert getattr(caught.value, "exit_code", None) == 1


def test_a_grid_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_grid(str(tmp_path / "none.yaml"))
    with pytest.raises(UserError, match="directory"):
        read_grid(str(tmp_path))


def test_a_million_cells_are_refused_before_any_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Sampler, "with_settings", lambda self, **_: pytest.fail("a cell was made") if _ else self
    )
    numbers = ", ".join(str(n / 100) for n in range(1, 101))
    with pytest.raises(UserError, match="100 x 100 x 100 = 1,000,000 cells; a sweep compares 2,000 at most"):
        grid(tmp_path, f"grid: {{temperature: [{numbers}], top_p: [{numbers}], min_p: [{numbers}]}}\n")


def test_cells_that_part_in_stop_or_in_the_last_digit_are_told_apart(tmp_path: Path) -> None:
    text = "grid: {temperature: [0.7, 0.70000000001], stop: [['a'], ['b'], none]}\n"
    names = [cell.name for cell in grid(tmp_path, text).cells]
    assert len(set(names)) == 6
    assert names[:3] == ['T 0.7, stop ["a"]', 'T 0.7, stop ["b"]', "T 0.7"]


def test_too_many_cells(tmp_path: Path) -> None:
    numbers = ", ".join(str(n / 100) for n in range(1, 60))
    with pytest.raises(UserError, match="more than 2,000 cells"):
        grid(tmp_path, f"grid: {{temperature: [{numbers}], top_p: [{numbers}]}}\n")


def endpoint(url: str = "http://127.0.0.1:1/v1", **more: object) -> Endpoint:
    return Endpoint.model_validate({"base_url": url, "model": "m", **more})


def test_what_varies_is_written_out_where_it_is_off(tmp_path: Path) -> None:
    found = grid(tmp_path, "grid: {temperature: [0.5], a: [{top_p: 0.9}, {min_p: 0.1}, {top_k: 5}]}\n")
    sent = [engine_of(endpoint(), found).settings(cell.sampler, cell.extra) for cell in found.cells]
    assert sent == [
        {"temperature": 0.5, "max_tokens": 512, "top_p": 0.9, "top_k": -1, "min_p": 0.0},
        {"temperature": 0.5, "max_tokens": 512, "top_p": 1.0, "top_k": -1, "min_p": 0.1},
        {"temperature": 0.5, "max_tokens": 512, "top_p": 1.0, "top_k": 5, "min_p": 0.0},
    ]
    local = engine_of(None, found).settings(found.cells[0].sampler)
    assert local["repetition_penalty"] == 1.0
    assert (local["top_p"], local["min_p"], local["top_k"]) == (0.9, 0.0, 0)


def test_what_an_engine_cannot_express_is_refused_with_its_cell(tmp_path: Path) -> None:
    found = grid(tmp_path, "grid: {temperature: [0.5], frequency_penalty: [0, 0.5]}\n")
    with pytest.raises(UserError, match=r"cell T 0.5, freq 0.5: frequency_penalty: transformers"):
        engine_of(None, found)
    assert engine_of(endpoint(), found).settings(found.cells[0].sampler)["frequency_penalty"] == 0
    other = grid(tmp_path, "grid: {temperature: [0.5], min_p: [0, 0.1]}\n")
    with pytest.raises(UserError, match=r"cell T 0.5, min_p 0.1: min_p"):
        engine_of(endpoint("https://api.openai.com/v1"), other)
    with pytest.raises(UserError, match="extra_body sets min_p"):
        engine_of(endpoint(extra_body={"min_p": 0.2}), other)


def test_names_leave_out_what_is_off() -> None:
    assert cell_name(Sampler()) == "T 1"
    assert cell_name(Sampler(top_k=1)) == "greedy, top_k 1"
    assert cell_name(Sampler(presence_penalty=-0.5, max_new_tokens=9), length=True) == "T 1, pres -0.5, max 9"
