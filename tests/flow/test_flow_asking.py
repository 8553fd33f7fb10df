"""Stages that ask endpoints: what the recipe and the run see to for them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from watari.artifact.problems import RecipeError
from watari.artifact.rows import read_rows
from watari.errors import UserError
from watari.flow.inspect import show
from watari.flow.packing import pack

FAST = {"base_url": "http://127.0.0.1:9/v1", "model": "small"}
PRICED = {**FAST, "price": {"input": 1.0, "output": 2.0}}
STAGES = {"made": {"uses": "toy.ask", "teachers": ["fast"]}}


def asked(ledger: Path) -> list[str]:
    with closing(sqlite3.connect(ledger)) as base:
        return [label for (label,) in base.execute("SELECT label FROM asked")]


def test_a_stage_gets_the_endpoint_it_names_the_runs_ledger_and_its_own_name(world) -> None:
    world.write(STAGES, endpoints={"fast": FAST})
    world.run()
    assert asked(world.root / "runs/toy/ledger.sqlite") == ["made"]
    made = world.root / "runs/toy/stages/made"
    assert [(row["id"], row["text"]) for row in read_rows(made)] == [("fast", "small")]


def test_where_an_endpoint_is_and_what_it_costs_does_not_make_work_stale_but_its_model_does(world) -> None:
    world.write(STAGES, endpoints={"fast": FAST})
    world.run()
    moved = {**FAST, "base_url": "http://127.0.0.1:10/v1", "limits": {"concurrency": 7}, "attempts": 2}
    world.write(STAGES, endpoints={"fast": moved})
    assert world.run().cached == ["made"]
    world.write(STAGES, endpoints={"fast": {**moved, "model": "large"}})
    assert world.run().built == ["made"]
    world.write(STAGES, endpoints={"fast": {**moved, "model": "large", "sampler": {"temperature": 0.5}}})
    assert world.run().built == ["made"]


def test_the_manifest_and_the_lock_hold_no_path_of_this_machine_for_the_ledger(world) -> None:
    world.write(STAGES, endpoints={"fast": FAST})
    world.run()
    manifest = (world.root / "runs/toy/stages/made/manifest.json").read_text("utf-8")
    assert str(world.root) not in manifest
    assert str(world.root) not in (world.root / "runs/toy/recipe.lock.yaml").read_text("utf-8")


def test_an_endpoint_that_is_not_there_is_told_with_the_nearest_name(world) -> None:
    world.write({"made": {"uses": "toy.ask", "teachers": ["fats"]}}, endpoints={"fast": FAST})
    with pytest.raises(RecipeError, match=r"no endpoint named 'fats' \(did you mean 'fast'\?\)"):
        world.load()


def test_a_missing_key_stops_before_anything_is_made(world, monkeypatch) -> None:
    monkeypatch.delenv("TOY_KEY", raising=False)
    stages = {"text": {"uses": "toy.source", "path": "a.txt"}, **STAGES}
    world.write(stages, endpoints={"fast": {**FAST, "key_env": "TOY_KEY"}})
    with pytest.raises(UserError, match="stage 'made' asks endpoint 'fast', but TOY_KEY is not set"):
        world.run()
    assert not (world.root / "runs/toy/stages").exists()
    monkeypatch.setenv("TOY_KEY", "sesame-123")
    world.run()
    written = [p for p in (world.root).rglob("*") if p.is_file() and b"sesame-123" in p.read_bytes()]
    assert written == []


def test_an_endpoint_that_costs_needs_a_budget_of_the_stage_or_of_the_run(world) -> None:
    world.write(STAGES, endpoints={"fast": PRICED})
    with pytest.raises(UserError, match="costs money, without a budget"):
        world.run()
    world.write(STAGES, endpoints={"fast": PRICED}, budget={"money": 5})
    assert world.run().built == ["made"]
    staged = {"made": {**STAGES["made"], "budget": {"requests": "1k"}}}
    world.write(staged, endpoints={"fast": PRICED})
    assert world.run().cached == ["made"], "a budget is no part of what is made"


def test_nothing_is_asked_of_a_stage_that_is_there_already(world, monkeypatch) -> None:
    monkeypatch.setenv("TOY_KEY", "sesame-123")
    world.write(STAGES, endpoints={"fast": {**FAST, "key_env": "TOY_KEY"}})
    world.run()
    monkeypatch.delenv("TOY_KEY")
    assert world.run().cached == ["made"]


def test_a_packed_run_takes_its_ledger_whole(world) -> None:
    world.write(STAGES, endpoints={"fast": FAST})
    world.run()
    ledger = world.root / "runs/toy/ledger.sqlite"
    with closing(sqlite3.connect(ledger)) as held:
        held.execute("PRAGMA wal_autocheckpoint=0")
        with held:
            held.execute("INSERT INTO asked VALUES ('in the log beside it')")
        # Like after a kill: what was written last stands in the write-ahead log, which a copy of the file lacks.
        assert (world.root / "runs/toy/ledger.sqlite-wal").stat().st_size > 0
        pack(world.root / "runs/toy", world.root / "packed")
    assert asked(world.root / "packed/ledger.sqlite") == ["made", "in the log beside it"]
    assert [stage.name for stage in show(world.root / "packed")] == ["made"]
