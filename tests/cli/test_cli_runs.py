"""run, plan, show, verify, diff, pack, clean: what they print, their exit codes, their JSON as documented."""

import json
import re
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def documented(name: str):
    text = DOCS.read_text("utf-8")
    return json.loads(re.search(rf"<!-- json: {name} -->\n```json\n(.*?)```", text, re.S)[1])


def assert_same_form(real, example, path: str = "") -> None:
    """Keys and types are the same; a list's example entry stands for all; null may stand for anything."""
    if isinstance(example, dict) and not path.endswith((".metrics", ".parameters")):
        assert isinstance(real, dict), path
        assert list(real) == list(example), path
        for key, value in example.items():
            assert_same_form(real[key], value, f"{path}.{key}")
    elif isinstance(example, list):
        assert isinstance(real, list), path
        for item in real:
            assert_same_form(item, example[0], f"{path}[]")
    elif real is not None and example is not None:
        both_numbers = isinstance(real, int | float) and isinstance(example, int | float)
        assert both_numbers or isinstance(real, type(example)), path


@pytest.fixture
def done(toys):
    toys.run()
    return toys


def test_run_tells_what_was_done(toys):
    first = toys.command("run", "recipe.yaml", "--out", "runs/toy")
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(r"done in .* s: 4 made, 0 cached\n", first.stdout)
    lines = first.stderr.splitlines()
    assert lines[0] == "> a (toy.source)"
    assert re.fullmatch(r"✓ a done \d+\.\d s, \d+\.\d kB", lines[1])
    again = toys.command("run", "recipe.yaml", "--out", "runs/toy", "--quiet")
    assert (again.stderr, again.returncode) == ("", 0)
    assert "0 made, 4 cached" in again.stdout


def test_run_with_settings_and_a_choice(toys):
    told = toys.here(
        "run", "recipe.yaml", "--set", "a.upper=yes", "--set", "a.upper=true", "--only", "a", "-q"
    )
    assert told.returncode == 0, told.stderr
    assert "1 made" in told.stdout
    assert (toys.root / "runs/toy/stages/a").is_dir()


def test_a_dry_run_writes_nothing(toys):
    before = sorted(path.name for path in toys.root.iterdir())
    told = toys.here("run", "recipe.yaml", "--dry-run")
    assert told.returncode == 0
    assert "> both   toy.join    after a, b" in told.stdout
    assert "4 to run, 0 there" in told.stdout
    assert sorted(path.name for path in toys.root.iterdir()) == before


@pytest.mark.parametrize(
    ("change", "arguments", "code", "told"),
    [
        (None, ("run", "nowhere.yaml"), 1, "watari: nowhere.yaml: no such recipe file, and no packaged recipe of that name"),
        (None, ("run", "recipe.yaml", "--set", "a.uper=true"), 1, "watari: --set a.uper: stages.a.uper: no parameter 'uper' for toy.source (did you mean 'upper'?)"),
        (None, ("run", "recipe.yaml", "--only", "bth"), 1, "watari: no stage named 'bth' (did you mean 'both'?)"),
        (None, ("run", "recipe.yaml", "--only", "both"), 1, "watari: 'both' needs 'a', which is not made yet"),
        ("stages: {x: {uses: toy.fail, documents: b, how: user}, b: {uses: toy.source, path: b.txt}}", ("run", "recipe.yaml"), 1, "watari: stage 'x': rows.jsonl: line 7: not JSON"),
        ("stages: {x: {uses: toy.fail, documents: b, how: defect}, b: {uses: toy.source, path: b.txt}}", ("run", "recipe.yaml"), 3, "watari: stage 'x': ZeroDivisionError: by nought"),
        ("stages:\n\tx: 1", ("run", "recipe.yaml"), 1, "watari: recipe.yaml:4: malformed YAML: found character '\\t' that cannot start any token"),
        ("stages: {b: {uses: toy.source, path: gone.txt}}", ("plan", "recipe.yaml"), 1, "/gone.txt: no such file or folder"),
        (None, ("show", "nowhere"), 1, "watari: nowhere: not the folder of a run (no recipe.lock.yaml)"),
        (None, ("verify", "nowhere"), 1, "watari: nowhere: not the folder of a run"),
        (None, ("diff", "nowhere", "nowhere"), 1, "watari: nowhere: not the folder of a run"),
        (None, ("pack", "nowhere", "x"), 1, "watari: nowhere: not the folder of a run"),
        (None, ("clean", "--store", "nowhere"), 1, "no store here"),
    ],
)  # fmt: skip
def test_mistakes_have_one_line_and_a_code(toys, change, arguments, code, told):
    if change is not None:
        (toys.root / "recipe.yaml").write_text(f"name: toy\nlanguage: ja\n{change}\n", "utf-8")
    # Those that run stages, in a process of their own: nothing but these lines may come from any of its processes.
    done = toys.command(*arguments) if change is not None else toys.here(*arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert told in done.stderr
    assert sum(line.startswith("watari: ") for line in done.stderr.splitlines()) == 1


def test_plan_json_is_as_documented(toys):
    toys.run(only=["a"])
    told = toys.here("plan", "recipe.yaml", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert_same_form(found, documented("plan"))
    assert (found["run"], found["cached"]) == (3, 1)
    assert {stage["state"] for stage in found["stages"]} == {"cached", "run"}
    partly = json.loads(toys.here("plan", "recipe.yaml", "--only", "a", "--json").stdout)
    assert {stage["state"] for stage in partly["stages"]} == {"cached", "left out"}


def test_show_json_is_as_documented(done):
    told = done.here("show", "runs/toy", "--json")
    found = json.loads(told.stdout)
    assert_same_form(found, documented("show"))
    both = found["stages"][2]
    assert both["metrics"] == {"rows": 4}
    assert (done.root / "runs/toy" / both["artifact"]).is_dir()
    plain = done.here("show", "runs/toy").stdout
    assert re.search(r"^both   toy\.join    done in \d\.\d s  rows=4$", plain, re.M)


def test_verify_json_is_as_documented(done):
    assert json.loads(done.here("verify", "runs/toy", "--json").stdout) == {
        "checked": 4,
        "missing": [],
        "faults": [],
    }
    assert done.here("verify", "runs/toy").stdout == "4 artifacts checked, 0 faults\n"
    (done.root / "runs/toy/stages/a/rows.parquet").write_bytes(b"x")
    told = done.here("verify", "runs/toy", "--json")
    assert told.returncode == 3
    found = json.loads(told.stdout)
    assert_same_form(found, documented("verify"))
    assert found["faults"][0]["problem"].startswith("changed")
    assert "watari: runs/toy: 1 fault" in told.stderr


def test_diff_json_is_as_documented(done):
    done.run("a.limit=1", out="runs/other")
    told = done.here("diff", "runs/toy", "runs/other", "--json")
    assert told.returncode == 0
    found = json.loads(told.stdout)
    assert_same_form(found, documented("diff"))
    a = found["stages"][0]
    assert (a["state"], a["parameters"], a["metrics"]) == ("changed", {"limit": [1000, 1]}, {"rows": [2, 1]})
    plain = done.here("diff", "runs/toy", "runs/other").stdout.splitlines()
    assert plain[:3] == ["a: changed", "    limit: 1000 -> 1", "    rows: 2 -> 1"]


def test_doctor_json_is_as_documented():
    from watari.model.checks.patient import Check
    from watari.model.doctor import Report

    real = Report("m", (Check("a", "ok", "b", "c", "d"),)).to_json()
    assert_same_form(real, documented("doctor"))


def test_clean_asks_and_no_removes_nothing(done):
    done.run("b.upper=true", out="runs/other")
    shutil.rmtree(done.root / "runs/other")
    store = done.root / "runs/.store"
    before = sorted(str(path) for path in store.rglob("*"))
    for arguments in (("--dry-run",), ()):
        told = done.here("clean", "--store", "runs/.store", *arguments)
        assert "no run refers to it" in told.stdout
        assert sorted(str(path) for path in store.rglob("*")) == before
    assert told.returncode == 1
    assert "Remove 2 folders" in told.stdout
    told = done.here("clean", "--store", "runs/.store", "--yes")
    assert (told.returncode, "removed 2 folders" in told.stdout) == (0, True)
    assert done.here("clean", "--store", "runs/.store").stdout == "nothing to remove\n"
    assert done.here("verify", "runs/toy").returncode == 0


@pytest.mark.parametrize(("answer", "left"), [("n\n", True), ("y\n", False)])
def test_clean_takes_the_answer(done, answer, left):
    done.run(force=["a"])
    told = done.here("clean", "--store", "runs/.store", stdin=answer)
    assert told.returncode == 0, told.stderr
    assert any((done.root / "runs/.store/replaced").iterdir()) is left
    assert ("nothing was removed" in told.stdout) is left


def test_pack_makes_one_folder_that_can_be_moved(done):
    told = done.here("pack", "runs/toy", "packed")
    assert told.returncode == 0, told.stderr
    assert re.fullmatch(r"packed: 4 artifacts, \d+\.\d kB\n", told.stdout)
    digests = done.digests()
    shutil.rmtree(done.root / "runs")
    (done.root / "far").mkdir()
    (done.root / "packed").rename(done.root / "far/away")
    assert done.here("verify", "far/away").stdout == "4 artifacts checked, 0 faults\n"
    assert done.digests("far/away") == digests
    assert not any(
        path.is_symlink() and path.readlink().is_absolute() for path in (done.root / "far").rglob("*")
    )
    # It goes on from there, with its own store, and clean knows what it refers to.
    assert done.run(out="far/away").built == []
    assert done.here("clean", "--store", "far/away/.store").stdout == "nothing to remove\n"
    again = done.here("pack", "far/away", "far/away")
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_pack_refuses_what_is_damaged_and_tells_what_is_not_made(done):
    done.run("count.steps=7", only=["a"])
    assert "1 stage not made yet" in done.here("pack", "runs/toy", "packed").stdout
    (done.root / "runs/toy/stages/a/rows.parquet").write_bytes(b"x")
    told = done.here("pack", "runs/toy", "other")
    assert told.returncode == 3
    assert "watari: stage 'a': runs/toy/stages/a/rows.parquet: changed" in told.stderr
    assert not (done.root / "other").exists()
    assert [path.name for path in done.root.iterdir() if "packing" in path.name] == []


def test_the_store_of_the_environment(toys, monkeypatch):
    told = toys.here("run", "recipe.yaml", "--only", "a", "--store", "shelf", "-q")
    assert told.returncode == 0, told.stderr
    assert (toys.root / "shelf/documents").is_dir()
    assert str(toys.root / "shelf") in toys.here("plan", "recipe.yaml").stdout
