"""Running a graph: what runs, what is cached, what goes stale, what runs side by side."""

import json
import os

import pytest

from watari.artifact.problems import RecipeError
from watari.errors import UserError
from watari.flow import memory
from watari.flow.folder import read_events, read_lock
from watari.flow.plan import State, plan


def test_a_run_makes_everything_and_a_second_one_nothing(world, two_sources):
    world.write(two_sources())
    first = world.run()
    assert first.built == ["a", "b", "both", "count"]
    assert world.display.closed
    before = world.digests()
    second = world.run()
    assert second.built == []
    assert second.cached == ["a", "b", "both", "count"]
    assert world.digests() == before
    root = world.root / "runs/toy"
    assert (root / "stages/both/rows.parquet").is_file()
    assert (world.root / "runs/.store/documents").is_dir()
    lock = read_lock(root)
    assert lock["stages"]["a"]["parameters"]["limit"] == 1000
    assert lock["stages"]["both"]["inputs"] == {"documents": ["a", "b"]}
    events = [event["event"] for event in read_events(root)]
    assert events[0] == "run_started"
    assert events[-1] == "run_finished"
    assert events.count("stage_finished") == 4
    assert events.count("stage_cached") == 4
    assert "joined 4" in (root / "logs/both.log").read_text("utf-8")


def test_a_changed_parameter_reruns_only_what_depends_on_it(world, two_sources):
    world.write(two_sources())
    world.run()
    outcome = world.run("b.upper=true")
    assert outcome.built == ["b", "both"]
    assert outcome.cached == ["a", "count"]


def test_a_changed_file_reruns_only_what_depends_on_it(world, two_sources):
    world.write(two_sources())
    world.run()
    (world.root / "b.txt").write_text("epsilon\n", "utf-8")
    assert world.run().built == ["b", "both"]
    (world.root / "b.txt").touch()
    assert world.run().built == []


def test_an_equal_digest_upstream_makes_nothing_downstream_stale(world, two_sources):
    world.write(two_sources())
    world.run()
    # Another parameter, the same bytes: `limit` above the number of lines.
    outcome = world.run("a.limit=500")
    assert outcome.built == ["a"]
    assert outcome.cached == ["b", "both", "count"]


def test_runtime_only_parameters_and_places_do_not_count(world, two_sources):
    world.write(two_sources())
    world.run()
    (world.root / "elsewhere").mkdir()
    (world.root / "a.txt").rename(world.root / "elsewhere/other-name.txt")
    assert world.run("a.workers=4", "a.path=elsewhere/other-name.txt").built == []


def test_the_seed_is_in_the_key(world, two_sources):
    world.write(two_sources())
    world.run()
    assert set(world.run("seed=7").built) >= {"a", "b", "count"}


@pytest.mark.parametrize(
    ("chosen", "built"),
    [
        ({"only": ["a"]}, ["a"]),
        ({"until": ["both"]}, ["a", "b", "both"]),
        ({"until": ["count"]}, ["a", "count"]),
        ({"only": ["a", "count"]}, ["a", "count"]),
    ],
)
def test_only_and_until(world, two_sources, chosen, built):
    world.write(two_sources())
    assert world.run(**chosen).built == built


def test_from_and_force(world, two_sources):
    world.write(two_sources())
    world.run(only=["a", "b"])
    assert world.run(start=["both"]).built == ["both"]
    # What was forced gives the same bytes, so what uses it stays.
    outcome = world.run(force=["a"])
    assert outcome.built == ["a", "count"]
    replaced = list((world.root / "runs/.store/replaced").iterdir())
    assert len(replaced) == 1


def test_only_needs_its_inputs(world, two_sources):
    world.write(two_sources())
    with pytest.raises(UserError, match="'both' needs 'a', which is not made yet"):
        world.run(only=["both"])
    assert not (world.root / "runs/toy/events.jsonl").exists()


def test_an_unknown_stage_is_told(world, two_sources):
    world.write(two_sources())
    with pytest.raises(RecipeError, match=r"no stage named 'bothh' \(did you mean 'both'\?\)"):
        world.run(only=["bothh"])


def test_independent_stages_run_side_by_side(world):
    meet = {"documents": "a"}
    world.write(
        {
            "a": {"uses": "toy.source", "path": "a.txt"},
            "left": {"uses": "toy.join", **meet, "meet": "l", "wait_for": "r"},
            "right": {"uses": "toy.join", **meet, "meet": "r", "wait_for": "l"},
        }
    )
    left, right = (str(world.root / name) for name in ("l", "r"))
    settings = [
        f"left.meet={left}",
        f"left.wait_for={right}",
        f"right.meet={right}",
        f"right.wait_for={left}",
    ]
    # Each waits for the other to have begun: one after the other, neither would end.
    assert set(world.run(*settings, jobs=2).built) == {"a", "left", "right"}


def test_two_stages_of_one_key_are_built_once(world):
    world.write(
        {
            "a": {"uses": "toy.source", "path": "a.txt"},
            "one": {"uses": "toy.slow", "documents": "a", "steps": 10, "pause": 0.05},
            "two": {"uses": "toy.slow", "documents": "a", "steps": 10, "pause": 0.05},
        }
    )
    outcome = world.run(jobs=3)
    assert outcome.built == ["a", "one"]
    assert outcome.cached == ["two"]


def test_stages_that_do_not_fit_wait_for_each_other(world, monkeypatch):
    stages = {"a": {"uses": "toy.source", "path": "a.txt"}}
    for name in ("x", "y"):
        stages[name] = {"uses": "toy.join", "documents": "a", "suffix": name, "needs": 3 << 30}
    world.write(stages)
    monkeypatch.setattr(memory, "available", lambda: 4 << 30)
    world.run(jobs=2)
    lines = [line for line in world.display.lines if line.endswith((" x", " y"))]
    assert lines == ["start x", "done x", "start y", "done y"]


def test_memory_is_read_from_the_machine(monkeypatch):
    assert 0 < memory.available() < 1 << 50
    monkeypatch.setattr(memory, "available", lambda: 8 << 30)
    assert memory.fits(4 << 30, 0)
    assert memory.fits(4 << 30, 6 << 30)
    assert not memory.fits(4 << 30, 8 << 30)
    assert not memory.fits(8 << 30, 0)


def test_a_file_changed_while_it_was_read_is_told(world):
    world.write({"a": {"uses": "toy.source", "path": "a.txt", "touch": True}})
    with pytest.raises(UserError, match=r"stage 'a': .*a\.txt: changed while stage 'a' was reading it"):
        world.run()
    assert not list((world.root / "runs/.store").glob("documents/*"))


def test_a_missing_file_is_told_with_the_line_of_the_recipe(world, two_sources):
    world.write(two_sources())
    (world.root / "b.txt").unlink()
    with pytest.raises(UserError) as caught:
        world.run()
    assert str(caught.value) == f"recipe.yaml:6: stages.b: {world.root}/b.txt: no such file or folder"
    # What does not need the file can still be run.
    assert world.run(until=["count"]).built == ["a", "count"]


def test_outside_files_are_not_hashed_again_while_a_stage_waits(world, two_sources, monkeypatch):
    from watari.flow import keys

    asked = []
    real = keys.fingerprint
    monkeypatch.setattr(
        keys, "fingerprint", lambda path, revision: asked.append(path) or real(path, revision)
    )
    stages = {"slow": {"uses": "toy.slow", "documents": "a", "steps": 30, "pause": 0.02}, **two_sources()}
    world.write(stages)
    world.run()
    # Once for the plan, once when it is first looked at, once when it starts.
    assert asked.count(str(world.root / "b.txt")) <= 3


def test_a_recipe_that_changed_under_a_run_drops_links_that_no_longer_hold(world, two_sources):
    world.write(two_sources())
    world.run()
    stages = two_sources()
    del stages["count"]
    stages["b"]["upper"] = True
    world.write(stages)
    world.run(only=["a"])
    links = world.root / "runs/toy/stages"
    # b is another one now, both would be made from it, count is gone from the recipe.
    assert [link.name for link in links.iterdir()] == ["a"]
    # Nothing was removed from the store: the old recipe finds all of it.
    world.write(two_sources())
    assert world.run().built == []


def test_links_are_kept_where_only_an_outside_file_is_away(world, two_sources):
    world.write(two_sources())
    world.run()
    (world.root / "b.txt").rename(world.root / "away.txt")
    world.run(only=["a"])
    assert {link.name for link in (world.root / "runs/toy/stages").iterdir()} == {"a", "b", "both", "count"}


def test_plan_says_what_is_there_and_what_is_not(world, two_sources):
    world.write(two_sources())
    world.run(only=["a"])
    planned = plan(world.load(), world.folder().store)
    states = {stage.name: stage.state for stage in planned.stages}
    assert states == {"a": State.CACHED, "b": State.RUN, "both": State.RUN, "count": State.RUN}
    reasons = {stage.name: stage.reason for stage in planned.stages}
    assert reasons["both"] == "after b"
    a = planned.stages[0]
    assert a.bytes == sum(p.stat().st_size for p in (world.root / "runs/toy/stages/a").glob("*.parquet"))
    assert json.loads(json.dumps(planned.as_json()))["cached"] == 1


def test_the_store_comes_from_the_option_the_environment_or_the_run_before(world, two_sources, monkeypatch):
    world.write(two_sources())
    given = world.root / "given"
    world.run(store=given, only=["a"])
    assert (given / "documents").is_dir()
    assert not (world.root / "runs/.store").exists()
    # The folder remembers: nothing is made twice because an option was left out.
    assert world.run(only=["a"]).built == []
    monkeypatch.setenv("WATARI_STORE", str(world.root / "from-environment"))
    assert world.run(only=["a"]).built == ["a"]
    assert (world.root / "from-environment/documents").is_dir()
    assert world.run(store=given, only=["a"]).built == []


def test_a_run_folder_and_its_store_can_be_moved_together(world, two_sources):
    world.write(two_sources())
    world.run()
    digests = world.digests()
    (world.root / "runs").rename(world.root / "moved")
    assert world.digests("moved/toy") == digests
    assert world.run(out="moved/toy").built == []


def test_a_store_that_cannot_be_written_is_told(world, two_sources):
    world.write(two_sources())
    (world.root / "file").write_text("")
    with pytest.raises(UserError, match=r"file/store: cannot be written: Not a directory"):
        world.run(store=world.root / "file/store")
    with pytest.raises(UserError, match=r"file/run: cannot be written: Not a directory"):
        world.run(out="file/run")
    assert world.display.closed


def test_the_report_is_copied_with_the_times_of_the_run(world, two_sources):
    world.write({**two_sources(), "report": {"uses": "report.run"}})
    outcome = world.run()
    assert outcome.report == world.root / "runs/toy/report.html"
    page = outcome.report.read_text("utf-8")
    record = json.loads(page.partition('id="watari-run">')[2].partition("</script>")[0])
    assert [stage["name"] for stage in record["stages"]] == ["a", "b", "both", "count", "report"]
    assert {stage["state"] for stage in record["stages"]} == {"built"}
    assert record["stages"][0]["performance"]["rows_per_second"] == 1.0
    assert record["started"] <= record["finished"]
    again = world.run().report.read_text("utf-8")
    assert '"cached"' in again
    # The artifact itself holds no times.
    assert "null</script>a b both count" in (world.root / "runs/toy/stages/report/report.html").read_text(
        "utf-8"
    )


def test_a_report_that_cannot_be_copied_is_told_and_the_run_is_done(world, two_sources):
    world.write({**two_sources(), "report": {"uses": "report.run", "broken": True}})
    outcome = world.run()
    assert outcome.report is None
    assert outcome.built[-1] == "report"
    assert any("the report could not be copied" in line for line in world.display.lines)


def test_a_matrix_repeats_what_differs_and_the_report_gathers_all(world, two_sources):
    world.write({**two_sources(), "report": {"uses": "report.run"}}, matrix={"a.upper": [False, True]})
    outcome = world.run()
    assert outcome.built == [
        "a@a.upper=false",
        "a@a.upper=true",
        "b",
        "both@a.upper=false",
        "both@a.upper=true",
        "count@a.upper=false",
        "count@a.upper=true",
        "report",
    ]
    report = (world.root / "runs/toy/stages/report/report.html").read_text("utf-8")
    assert "both@a.upper=false both@a.upper=true" in report


def test_manifests_say_where_an_artifact_comes_from(world, two_sources):
    from watari.artifact.manifest import read_manifest

    world.write(two_sources(), seed=3)
    world.run()
    manifest = read_manifest(world.root / "runs/toy/stages/both")
    assert [(entry.parameter, entry.name) for entry in manifest.inputs] == [
        ("documents", "a"),
        ("documents", "b"),
    ]
    assert manifest.seed == 3
    assert manifest.uses == "toy.join"
    assert manifest.metrics == {"rows": 4}
    assert manifest.versions["watari"]
    assert manifest.performance["peak_rss_bytes"] > 1 << 20
    source = read_manifest(world.root / "runs/toy/stages/a")
    assert source.runtime == {"workers": 1}
    assert "path" in source.parameters
    assert str(world.root) not in json.dumps(source.parameters)
    assert list(source.outside) == [str(world.root / "a.txt")]
    assert not (world.root / "runs/toy/stages/count/work").exists()
    assert (world.root / "runs/toy/stages/count/logs/sessions").is_file()


def test_stages_run_in_other_processes(world, two_sources):
    world.write(two_sources(pid_file=str(world.root / "pids")))
    world.run()
    assert int((world.root / "pids").read_text()) != os.getpid()
