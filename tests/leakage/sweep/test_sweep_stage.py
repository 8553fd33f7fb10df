"""sweep.run against scripted servers over real HTTP, and with a tiny model in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from sweeping_server import Scripted
from teachers import Body, last, teacher
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import list_files
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact, Silent
from watari.endpoint.replay import Behaviour, Reply
from watari.errors import Interrupted, StageFailed, UserError
from watari.flow.stages import TABLE
from watari.generate.sampler import Sampler
from watari.leakage.sweep.grid import Cell
from watari.leakage.sweep.params import Params
from watari.leakage.sweep.plan import cost_of, plan_of, size_of
from watari.leakage.sweep.stage import STAGE, Swept, sweep
from watari.leakage.sweep.table import as_lines

GRID = """\
base: {max_new_tokens: 64}
grid:
  temperature: [0.4, 1.0]
  truncation: [none, {min_p: 0.1}]
cells: [{temperature: 0}]
marks: {the default: {temperature: 1.0}}
"""


def prompts(folder: Path, count: int = 30) -> str:
    path = folder / "prompts.jsonl"
    rows = [
        {"id": f"p{n}", "prompt": f"What is question {n} about?", "expected_lang": "en"} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def go(
    folder: Path,
    model: Any,
    out: str = "out",
    *,
    grid: str = GRID,
    artifact: InputArtifact | None = None,
    count: int = 30,
    progress: Any = None,
    **more: Any,
) -> Swept:
    target = folder / out
    target.mkdir(exist_ok=True)
    (folder / "grid.yaml").write_text(grid, "utf-8")
    params = Params(
        model=model,
        prompts=prompts(folder, count),
        grid=str(folder / "grid.yaml"),
        ledger=str(folder / "ledger.sqlite"),
        label="s",
        **more,
    )
    return sweep(params, artifact, target, progress or Silent())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def saved(folder: Path) -> Any:
    return json.loads((folder / "out" / "sweep.json").read_text("utf-8"))


def test_the_stage_is_in_the_table() -> None:
    assert TABLE["sweep.run"] is STAGE


def test_every_cell_gets_the_same_prompts_and_seeds(tmp_path: Path) -> None:
    server = Scripted()
    with teacher(server, "model") as model:
        go(tmp_path, model, repeats=3, count=5, canary="skip")
    by_cell: dict[str, set[tuple[str, int]]] = {}
    for body in server.asked:
        by_cell.setdefault(f"{body['temperature']} {body['min_p']}", set()).add((last(body), body["seed"]))
        assert body["max_tokens"] == 64
    assert {len(pairs) for name, pairs in by_cell.items() if name != "0.0 0.0"} == {15}
    assert len(by_cell.pop("0.0 0.0")) == 5  # greedy: asked once
    first, *others = by_cell.values()
    assert len(others) == 3
    assert all(other == first for other in others)


def test_leakage_falls_where_min_p_is_on_and_the_setting_is_written(tmp_path: Path) -> None:
    with teacher(Scripted(), "model") as model:
        found = go(tmp_path, model, repeats=4).sweep
    cells = {cell["name"]: cell["figures"] for cell in saved(tmp_path)["cells"]}
    assert cells["T 1"]["leaking"]["value"] > 0.3
    assert cells["T 1"]["leaking"]["n"] == 120
    assert cells["T 1, min_p 0.1"]["leaking"]["value"] < 0.12
    assert cells["greedy"]["leaking"]["value"] == 0
    assert cells["greedy"]["leaking"]["n"] == 30
    assert 0.05 < cells["greedy"]["leaking"]["high"] < 0.15  # none of 30 is not certainly none
    low, high = cells["T 1"]["leaking"]["low"], cells["T 1"]["leaking"]["high"]
    assert low < cells["T 1"]["leaking"]["value"] < high
    assert cells["T 1"]["events_token"]["value"] == pytest.approx(cells["T 1"]["events"]["value"])
    assert found.front.best_leakage == "greedy"
    assert found.recommendation.cell.name == "greedy"
    assert not found.recommendation.keeps_default
    config = json.loads((tmp_path / "out" / "generation_config.json").read_text("utf-8"))
    assert config == {"do_sample": False, "repetition_penalty": 1.0, "max_new_tokens": 64}
    shown = saved(tmp_path)
    assert shown["default"] == "T 1"
    assert "T 1" not in shown["not_told_apart_from_best"]
    assert "T 0.4, min_p 0.1" in shown["not_told_apart_from_best"]
    assert shown["worst"][0]["span"] in "高校生の"
    assert {"ja"} == set(next(c for c in shown["cells"] if c["name"] == "T 1")["languages"])
    rows = {(row["metric"], row["group"]): row for row in read_rows(tmp_path / "out")}
    assert rows["leaking", "T 1"]["value"] == cells["T 1"]["leaking"]["value"]
    assert rows["leaking", "T 1"]["runs"] == 4
    assert 0 <= shown["alike"]["icc"] < 0.2  # the server draws anew for each seed


def test_nothing_that_is_on_record_is_asked_again_whatever_the_order_of_the_cells(tmp_path: Path) -> None:
    server = Scripted()
    with teacher(server, "model") as model:
        go(tmp_path, model, repeats=2, count=6)
        asked = len(server.asked)
        before = files(tmp_path / "out")
        go(tmp_path, model, "again", repeats=2, count=6)
        assert len(server.asked) == asked
        assert files(tmp_path / "again") == before
        other = GRID.replace("[0.4, 1.0]", "[1.0, 0.7, 0.4]")
        go(tmp_path, model, "more", grid=other, repeats=2, count=6)
        new = server.asked[asked:]
    assert {body["temperature"] for body in new} == {0.7}
    assert len(new) == 2 * 2 * 6
    ours, theirs = (
        {row["id"]: (row["seed"], row["response"]) for row in rows_of(tmp_path / name)}
        for name in ("out", "more")
    )
    assert len(theirs) == len(ours) + len(new)
    assert ours.items() <= theirs.items()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return list(pq.read_table(folder / "generations.parquet").to_pylist())


def test_a_sweep_that_was_stopped_goes_on(tmp_path: Path) -> None:
    class Impatient(Silent):
        def stop_requested(self) -> bool:
            return len(server.asked) > 20

    server = Scripted()
    slow = Behaviour(latency=30, sd=0)
    with teacher(server, "model", behaviour=slow, limits={"concurrency": 4}) as model:
        with pytest.raises(Interrupted):
            go(tmp_path, model, count=8, repeats=2, progress=Impatient())
        stopped = len(server.asked)
        go(tmp_path, model, count=8, repeats=2)
        assert 20 < stopped < len(server.asked)
        bodies = [json.dumps(body, sort_keys=True) for body in server.asked]
        # The canary alone says the same thing twice: greedy and hot.
        assert len(bodies) - len(set(bodies)) <= 2 * 4
        whole = files(tmp_path / "out")
        (tmp_path / "ledger.sqlite").unlink()
        go(tmp_path, model, "afresh", count=8, repeats=2)
    assert files(tmp_path / "afresh") == whole


@pytest.mark.parametrize(
    ("deaf", "grid"),
    [
        ("min_p", "grid: {temperature: [1.0], min_p: [0, 0.1]}"),
        ("top_p", "grid: {temperature: [1.0], top_p: [0.9, 1]}"),
        ("top_k", "grid: {temperature: [1.0], top_k: [0, 5]}"),
        ("repetition_penalty", "grid: {temperature: [1.0], repetition_penalty: [1, 1.1]}"),
        ("presence_penalty", "grid: {temperature: [1.0], presence_penalty: [0, 0.5]}"),
        ("temperature", "grid: {temperature: [0.5, 1.0]}"),
    ],
)
def test_the_canary_catches_a_server_that_ignores_a_setting(tmp_path: Path, deaf: str, grid: str) -> None:
    hears, ignores = Scripted(), Scripted(deaf)
    with teacher(hears, "good") as model:
        found = go(tmp_path, model, grid=grid, count=6)
    assert found.metrics["canary"][deaf] == "applied"
    with teacher(ignores, "model") as model:
        with pytest.raises(StageFailed, match=rf"model does not apply .*{deaf}") as caught:
            go(tmp_path, model, "bad", grid=grid, count=6)
        assert "canary: tell" in str(caught.value)
        assert {body["max_tokens"] for body in ignores.asked} == {24}  # of the sweep itself nothing was asked
        assert not (tmp_path / "bad" / "sweep.json").exists()
        told = go(tmp_path, model, "told", grid=grid, count=6, canary="tell")
    assert told.metrics["canary"][deaf] == "ignored"
    assert any(f"{deaf} ignored" in line for line in as_lines(told.sweep.as_json()))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        # Sure of itself at temperature 0, moved by the penalty at temperature 2: a real model with short answers.
        (lambda body: f"{body.get('repetition_penalty')}" if body["temperature"] else "青です。", "applied"),
        (lambda body: f"{body.get('seed')}" if body["temperature"] else "青です。", "ignored"),
        (lambda body: "青です。", "unclear"),
        (lambda body: "What it says is long enough to be changed by a penalty if there were one.", "ignored"),
    ],
)
def test_a_penalty_of_a_model_that_is_sure_of_itself(tmp_path: Path, answer: Any, verdict: str) -> None:
    grid = "grid: {temperature: [0.5], repetition_penalty: [1, 1.1]}"
    with teacher(answer, "model") as model:
        found = go(tmp_path, model, grid=grid, count=4, canary="tell")
    assert found.metrics["canary"]["repetition_penalty"] == verdict


def test_a_server_that_answers_temperature_0_differently_each_time(tmp_path: Path) -> None:
    count = iter(range(1000))
    with (
        teacher(lambda body: f"Answer {next(count)}.", "model") as model,
        pytest.raises(StageFailed, match="temperature 0 twice gives the same"),
    ):
        go(tmp_path, model, count=5)


def test_a_server_that_forgets_seeds_is_told_and_not_stopped(tmp_path: Path) -> None:
    with teacher(Scripted(forgets=True), "model") as model:
        found = go(tmp_path, model, count=5)
    assert found.metrics["canary"]["seed"] == "ignored"


def test_a_server_that_refuses_a_setting_is_told_in_words(tmp_path: Path) -> None:
    def answer(body: Body) -> str | Reply:
        return (
            Reply("min_p: extra fields not permitted", status=400) if body.get("min_p") else "A short answer."
        )

    with teacher(answer, "model") as model, pytest.raises(UserError, match="model refuses min_p"):
        go(tmp_path, model, count=5)


def test_a_server_that_refuses_the_canarys_temperature(tmp_path: Path) -> None:
    def answer(body: Body) -> str | Reply:
        return Reply("temperature: at most 1", status=400) if body["temperature"] > 1 else "A short answer."

    with teacher(answer, "model") as model, pytest.raises(UserError, match="refuses temperature 2") as caught:
        go(tmp_path, model, count=5)
    assert "canary: skip" in str(caught.value)


def test_a_model_in_this_process(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny")
    (folder / "generation_config.json").write_text(
        json.dumps(
            {"eos_token_id": 2, "bos_token_id": 1, "temperature": 0.6, "do_sample": True, "top_k": 50}
        ),
        "utf-8",
    )
    artifact = as_input("tiny", folder, Kind.MODEL)
    grid = (
        "base: {max_new_tokens: 12}\ngrid:\n  temperature: [0.5, 1.5]\n"
        "  cut: [none, {min_p: 0.2}, {top_p: 0.8}]\n  repetition_penalty: [1, 1.2]\n"
    )
    edge = {"from": "tiny"}
    found = go(tmp_path, edge, grid=grid, artifact=artifact, count=4, repeats=2, batch=8)
    assert found.metrics["canary"] == {
        "temperature": "applied",
        "seed": "applied",
        "min_p": "applied",
        "top_k": "applied",
        "top_p": "applied",
        "repetition_penalty": "applied",
    }
    shown = saved(tmp_path)
    assert shown["default"] == "T 0.6, top_k 50"
    assert len(shown["cells"]) == 13
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 13 * 4 * 2
    assert rows[0]["rendered_prompt"].startswith("<s>### User: What is question")
    assert len({row["seed"] for row in rows}) == 8
    config = json.loads((tmp_path / "out" / "generation_config.json").read_text("utf-8"))
    assert (config["eos_token_id"], config["bos_token_id"]) == (2, 1)
    best = next(one for one in found.sweep.plan.grid.cells if one.name == shown["recommended"]["cell"])
    assert Sampler().with_generation_config(config) == best.sampler
    before = files(tmp_path / "out")
    go(tmp_path, edge, "again", grid=grid, artifact=artifact, count=4, repeats=2, batch=8)
    assert files(tmp_path / "again") == before


def test_the_written_file_is_what_transformers_reads(tmp_path: Path) -> None:
    from transformers import GenerationConfig

    from watari.leakage.sweep.recommendation import beyond_the_file, generation_config, left_out

    sampler = Sampler(temperature=0.4, min_p=0.1, repetition_penalty=1.05, max_new_tokens=99)
    own = {"eos_token_id": [2, 7], "_from_model_config": True, "top_p": 0.3, "max_length": 20}
    (tmp_path / "generation_config.json").write_text(json.dumps(generation_config(sampler, own)), "utf-8")
    read = GenerationConfig.from_pretrained(str(tmp_path))
    assert (read.do_sample, read.temperature, read.min_p, read.top_k, read.top_p) == (True, 0.4, 0.1, 0, 1.0)
    assert (read.repetition_penalty, read.max_new_tokens, read.eos_token_id) == (1.05, 99, [2, 7])
    assert beyond_the_file(Cell("a", sampler)) == []
    assert left_out(own) == ["max_length"]
    assert left_out({"no_repeat_ngram_size": 3, "do_sample": True, "pad_token_id": 0, "typical_p": None}) == [
        "no_repeat_ngram_size"
    ]
    assert beyond_the_file(Cell("a", Sampler(presence_penalty=1))) == ["presence_penalty"]


def test_a_judge_rates_each_text_once_and_is_the_quality(tmp_path: Path) -> None:
    rated: list[str] = []

    def rate(body: Body) -> str:
        shown = last(body)
        rated.append(shown)
        if "question 3 about" in shown:
            return "I cannot say."
        return "Short.\n[[2]]" if "高校生" in shown else "Good.\n[[9]]"

    with teacher(Scripted(), "model") as model, teacher(rate, "judge") as judge:
        found = go(tmp_path, model, repeats=3, judge=judge).sweep
    texts = {(row["item_id"], row["response"]) for row in rows_of(tmp_path / "out")}
    assert len(rated) == len(texts) == len(set(rated))
    assert found.front.quality == "judge"
    cells = {cell["name"]: cell["figures"] for cell in saved(tmp_path)["cells"]}
    share = cells["T 1"]["leaking"]["value"]
    assert cells["greedy"]["judge"]["value"] == 9
    assert cells["T 1"]["judge"]["value"] == pytest.approx(9 - 7 * share, abs=0.4)
    assert cells["T 1"]["judge"]["n"] == 87
    assert sum(saved(tmp_path)["judge_problems"].values()) > 0


def test_loops_and_cut_offs_are_told(tmp_path: Path) -> None:
    grid = "base: {max_new_tokens: 200}\ngrid: {temperature: [0.5], repetition_penalty: [1, 1.1]}\n"
    with teacher(Scripted(loops=True), "model") as model:
        found = go(tmp_path, model, grid=grid, count=25)
    cells = {cell["name"]: cell["figures"] for cell in saved(tmp_path)["cells"]}
    assert cells["T 0.5"]["loops"]["value"] == cells["T 0.5"]["truncated"]["value"] == 1
    assert cells["T 0.5, rep 1.1"]["loops"]["value"] == cells["T 0.5, rep 1.1"]["truncated"]["value"] == 0
    assert found.sweep.recommendation.cell.name == "T 0.5, rep 1.1"
    assert "left out" in found.sweep.recommendation.reason[0]


def test_the_table_is_no_wider_than_80(tmp_path: Path) -> None:
    marks = "  a name that somebody has thought about for a long time: {temperature: 0.123, top_p: 0.951, min_p: 0.05,"
    grid = GRID.replace(
        "marks: {the default: {temperature: 1.0}}", f"marks:\n{marks} repetition_penalty: 1.15}}"
    )
    with teacher(Scripted(), "model") as model:
        go(tmp_path, model, grid=grid, count=5)
    lines = (tmp_path / "out" / "sweep.txt").read_text("utf-8").splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith(">") for line in lines) == 2
    assert any("T 0.123, top_p 0.951, min_p 0.05," in line for line in lines)


def test_missing_answers_are_counted(tmp_path: Path) -> None:
    server = Scripted()

    def answer(body: Body) -> str | Reply:
        if "question 4 " in last(body):
            return Reply("too long", status=400, code="context_length_exceeded")
        return server(body)

    with teacher(answer, "model") as model:
        found = go(tmp_path, model, count=6, repeats=2)
    assert found.metrics["answers"] == {"asked": 4 * 12 + 6, "missing": 4 * 2 + 1}
    (first, *_) = saved(tmp_path)["cells"]
    assert list(first["missing"].values()) == [2]
    assert first["figures"]["leaking"]["n"] == 10


def test_a_recipe_finds_grid_and_prompts_beside_it(tmp_path: Path) -> None:
    from watari.recipe import graph

    prompts(tmp_path, 3)
    (tmp_path / "grid.yaml").write_text(GRID, "utf-8")
    text = (
        "name: s\nlanguage: en\nendpoints: {fast: {base_url: 'http://127.0.0.1:1/v1', model: m}}\nstages:\n"
        "  own: {uses: sweep.run, model: fast, prompts: prompts.jsonl, grid: grid.yaml}\n"
        "  card: {uses: sweep.run, model: fast, prompts: prompts.jsonl, grid: shisa}\n"
    )
    (tmp_path / "recipe.yaml").write_text(text, "utf-8")
    found = graph.load(str(tmp_path / "recipe.yaml"), TABLE, folder=tmp_path, data=None, settings=[])
    own, card = (found.nodes[name].params for name in ("own", "card"))
    assert len(plan_of(own, None).grid.cells) == 5
    assert len(plan_of(card, None).grid.cells) == 48


def test_size_is_planned_from_the_effect(tmp_path: Path) -> None:
    size = size_of(200, None, "0.10:0.07", 0.1, 0.0)
    assert (size.independent, size.repeats) == (1356, 19)
    assert size.power is not None
    assert 0.8 <= size.power < 0.82
    assert size_of(1356, None, "0.10:0.07", 0.1, 0.0).repeats == 1
    with pytest.raises(UserError, match="100 prompts are too few"):
        size_of(100, None, "0.10:0.07", 0.1, 0.0)
    assert size_of(100, None, "0.10:0.07", 0.2, 0.8).repeats == 24
    given = size_of(96, 5, "0.10:0.07", 0.1, 0.5)
    assert given.repeats == 5
    assert given.power is not None
    assert given.power < 0.5
    assert "480 responses a cell" in given.line()


@pytest.mark.parametrize("effect", ["0.1", "0.1:0.1", "a:b", "0.1:2", "0.1:0.2:0.3"])
def test_an_effect_is_two_shares(effect: str) -> None:
    with pytest.raises(ValidationError, match=r"0\.10:0\.07"):
        Params(model={"from": "m"}, prompts="p", effect=effect)


def test_the_plan_tells_requests_and_cost(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(GRID, "utf-8")
    params = Params(
        model={"base_url": "http://127.0.0.1:1/v1", "model": "m", "price": {"input": 1, "output": 2}},
        prompts=prompts(tmp_path, 10),
        grid=str(tmp_path / "grid.yaml"),
        repeats=3,
    )
    cost = cost_of(plan_of(params, None), params)
    assert cost.answers == 4 * 30 + 10
    assert cost.canary == 5 * 4
    assert cost.completion_tokens == 64 * 130
    assert cost.cost == pytest.approx(cost.worst)
    assert cost.cost == pytest.approx((cost.prompt_tokens + 2 * (64 * 130 + 20 * 24)) / 1e6)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"id": "a"}, "no prompt"),
        ({"prompt": "  "}, "empty"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "no question"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "a turn is"),
        ({"prompt": "a", "licensed": "some"}, "licensed"),
        ({"prompt": "a", "expected_lang": 3}, "expected_lang"),
        ({"prompt": "a", "expected_lang": "Japanese"}, "an ISO 639 code such as ja"),
        ({"prompt": "a", "expected_lang": "jpn"}, "write ja"),
        ({"id": "p0", "prompt": "Fine?"}, "--repeats asks a prompt more often"),
        ({"id": True, "prompt": "a"}, "id is True"),
        ({"id": "p0", "prompt": "a"}, "occurs twice"),
    ],
)
def test_prompts_that_cannot_be_used_are_told_with_their_row(tmp_path: Path, row: Any, what: str) -> None:
    from watari.leakage.sweep.prompts import read_prompts

    path = tmp_path / "prompts.jsonl"
    first = {"id": "p0", "prompt": "Fine?", "expected_lang": "en"}
    path.write_text(f"{json.dumps(first)}\n{json.dumps(row)}\n", "utf-8")
    with pytest.raises(UserError, match="line 2") as caught:
        read_prompts(str(path))
    assert what in str(caught.value)


def test_forms_of_prompts(tmp_path: Path) -> None:
    from watari.leakage.sweep.prompts import read_prompts

    path = tmp_path / "prompts.jsonl"
    rows = [
        {"i": 0, "system": "あなたは役立つ。", "user": "好きな本は何ですか？"},
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]},
        {"prompt": "英語で答えて: 東京とは？", "expected_lang": "en", "licensed": "names"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    first, second, third = read_prompts(str(path), language="en")
    assert (first.id, [role for role, _ in first.messages], first.expected) == ("0", ["system", "user"], "ja")
    assert (second.asked(), second.expected) == ([{"role": "user", "content": "Hello"}], "en")
    assert (third.expected, third.licensed) == ("en", "names")
    assert len(read_prompts(str(path), limit=1)) == 1


def test_the_folder_is_an_artifact_of_scores(tmp_path: Path) -> None:
    with teacher(Scripted(), "model") as model:
        go(tmp_path, model, count=4)
    names = {entry.path for entry in list_files(tmp_path / "out")}
    assert names == {
        "rows.parquet",
        "generations.parquet",
        "sweep.json",
        "sweep.txt",
        "sweep.html",
        "prompts.json",
        "generation_config.json",
    }
    assert STAGE.output_kind(Params(model={"from": "m"}, prompts="p")) == Kind.SCORES
