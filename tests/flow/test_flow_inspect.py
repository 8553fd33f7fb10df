"""show, verify, diff, clean on runs that exist, whole and damaged."""

import json
import shutil

import pytest

from watari.artifact.store import Store
from watari.errors import UserError
from watari.flow.clean import remove, unused
from watari.flow.folder import Events, read_events
from watari.flow.inspect import diff, show, verify_run


@pytest.fixture
def done(world, two_sources):
    world.write(two_sources())
    world.run()
    return world


def test_show_tells_state_time_digest_and_figures(done):
    stages = show(done.root / "runs/toy")
    assert [stage.name for stage in stages] == ["a", "b", "both", "count"]
    both = stages[2]
    assert both.state == "done"
    assert both.uses == "toy.join"
    assert both.seconds > 0
    assert both.metrics == {"rows": 4}
    assert (done.root / "runs/toy" / both.artifact / "manifest.json").is_file()


def test_show_wants_the_folder_of_a_run(world):
    with pytest.raises(UserError, match=r"not the folder of a run \(no recipe\.lock\.yaml\)"):
        show(world.root)
    (world.root / "recipe.lock.yaml").write_text("{a: [")
    with pytest.raises(UserError, match=r"recipe\.lock\.yaml: cannot be read"):
        show(world.root)
    (world.root / "recipe.lock.yaml").write_text("a: 1")
    with pytest.raises(UserError, match=r"not a resolved recipe"):
        show(world.root)


def test_an_artifact_that_is_gone_is_told(done):
    root = done.root / "runs/toy"
    shutil.rmtree((root / "stages/both").resolve())
    states = {stage.name: stage for stage in show(root)}
    assert states["both"].state == "missing"
    assert "which is not there" in states["both"].error
    assert [fault.path for fault in verify_run(root).faults] == [str(root / "stages/both")]
    assert done.run().built == ["both"]
    assert verify_run(root).faults == []


def test_a_run_folder_moved_alone_says_what_is_missing(done):
    (done.root / "far/away").mkdir(parents=True)
    shutil.move(done.root / "runs/toy", done.root / "far/away/toy")
    assert {stage.state for stage in show(done.root / "far/away/toy")} == {"missing"}
    # Given its store again, it is whole.
    done.run(out="far/away/toy", store=done.root / "runs/.store")
    assert done.digests("far/away/toy")["both"]


def test_a_manifest_edited_by_hand_is_told_by_run_show_and_verify(done):
    root = done.root / "runs/toy"
    path = root / "stages/both/manifest.json"
    path.write_text(path.read_text("utf-8").replace('"rows": 4', '"rows": 5'), "utf-8")
    with pytest.raises(UserError) as caught:
        done.run()
    assert caught.value.message.startswith("stage 'both': ")
    assert "changed since it was written (its seal does not match)" in caught.value.message
    assert caught.value.mend.startswith("make it again with --force both")
    assert "\n" not in str(caught.value)
    found = verify_run(root)
    assert [fault.problem for fault in found.faults] == [
        "changed since it was written (its seal does not match)"
    ]
    assert {stage.name: stage.state for stage in show(root)}["both"] == "damaged"
    assert done.run(force=["both"]).built == ["both"]
    assert verify_run(root).faults == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": NaN}', "\udcff", "nul"])
def test_a_manifest_that_is_no_manifest_is_told(done, text):
    path = done.root / "runs/toy/stages/both/manifest.json"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match="not a readable manifest"):
        done.run()


def test_a_nan_written_into_a_manifest_is_told(done):
    path = done.root / "runs/toy/stages/both/manifest.json"
    path.write_text(path.read_text("utf-8").replace('"rows": 4', '"rows": NaN'), "utf-8")
    with pytest.raises(UserError, match="seal does not match"):
        done.run()


def test_verify_finds_every_kind_of_damage(done):
    root = done.root / "runs/toy"
    rows = root / "stages/a/rows.parquet"
    damaged = bytearray(rows.read_bytes())
    damaged[20] ^= 1
    rows.write_bytes(damaged)
    (root / "stages/b/rows.parquet").unlink()
    (root / "stages/count/more.txt").write_text("x")
    problems = {fault.path.rsplit("/", 1)[-1]: fault.problem for fault in verify_run(root).faults}
    assert problems == {
        "rows.parquet": "missing",
        "more.txt": "not in the manifest",
    } or set(problems.values()) == {"missing", "not in the manifest"}
    assert len(verify_run(root).faults) == 3
    # The run itself sees names and sizes at once.
    with pytest.raises(UserError, match=r"rows\.parquet: is missing"):
        done.run()


def test_verify_finds_an_input_that_was_made_again_with_other_bytes(done):
    root = done.root / "runs/toy"
    done.run("a.upper=true", out="runs/other")
    link = root / "stages/a"
    other = (done.root / "runs/other/stages/a").resolve()
    link.unlink()
    link.symlink_to(other)
    problems = [fault.problem for fault in verify_run(root).faults]
    assert problems == ["was made from another 'a' than the one that is there"] * 2


def test_verify_tells_what_is_not_made_yet(world, two_sources):
    world.write(two_sources())
    world.run(only=["a"])
    found = verify_run(world.root / "runs/toy")
    assert (found.checked, found.missing, found.faults) == (1, ["b", "both", "count"], [])


def test_diff_shows_parameters_and_metrics_side_by_side(done):
    done.run("a.limit=1", out="runs/other")
    found = {stage.name: stage for stage in diff(done.root / "runs/toy", done.root / "runs/other")}
    assert found["a"].state == "changed"
    assert found["a"].parameters == {"limit": (1000, 1)}
    assert found["a"].metrics == {"rows": (2, 1)}
    assert found["b"].state == "same"
    assert found["b"].parameters == {}
    assert found["both"].metrics == {"rows": (4, 3)}


def test_diff_knows_stages_of_one_side(done, two_sources):
    stages = two_sources()
    del stages["count"]
    stages["more"] = {"uses": "toy.join", "documents": "a"}
    done.write(stages, "second.yaml")
    done.run(name="second.yaml", out="runs/other", store=done.root / "apart", only=["a"])
    states = {stage.name: stage.state for stage in diff(done.root / "runs/toy", done.root / "runs/other")}
    assert states == {
        "a": "same",
        "b": "not made",
        "both": "not made",
        "count": "only left",
        "more": "only right",
    }


def test_clean_keeps_what_runs_refer_to_and_what_that_was_made_from(done):
    store = done.folder().store
    assert unused(store) == []
    done.run("b.upper=true", out="runs/second")
    shutil.rmtree(done.root / "runs/second")
    names = {item.path.name for item in unused(store)}
    assert len(names) == 2
    assert not names & {link.resolve().name for link in (done.root / "runs/toy/stages").iterdir()}
    freed = sum(item.bytes for item in unused(store))
    assert freed > 0
    assert remove(unused(store)) == freed
    assert unused(store) == []
    assert done.run().built == []
    assert verify_run(done.root / "runs/toy").faults == []


def test_clean_keeps_the_inputs_of_what_is_linked(done):
    for name in ("a", "b", "count"):
        (done.root / "runs/toy/stages" / name).unlink()
    # `both` was made from a and b; count is nobody's now.
    assert [item.path.parent.name for item in unused(done.folder().store)] == ["model"]


def test_clean_offers_replaced_and_unfinished_work(done):
    done.run(force=["a"])
    store = done.folder().store
    partial = store.partial("0123")
    (partial / "work").mkdir(parents=True)
    (partial / "work/state").write_text("1 2 3")
    assert [item.why for item in unused(store)] == [
        "replaced by --force",
        "unfinished work of an interrupted run",
    ]
    with store.building("0123"):
        assert [item.why for item in unused(store)] == ["replaced by --force"]
    remove(unused(store))
    assert unused(store) == []


def test_two_runs_share_a_store(done):
    done.run("count.steps=3", out="runs/second")
    assert unused(done.folder().store) == []
    shutil.rmtree(done.root / "runs/toy")
    assert [item.path.parent.name for item in unused(done.folder().store)] == ["model"]
    assert done.digests("runs/second")["count"]


def test_a_removal_cut_short_leaves_no_part_under_an_artifacts_name(done, monkeypatch):
    store = done.folder().store
    shutil.rmtree(done.root / "runs/toy")
    items = unused(store)

    def cut_short(path):
        next(p for p in path.iterdir()).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        remove(items)
    monkeypatch.undo()
    assert len(store.artifacts()) == len(items) - 1
    left = unused(store)
    assert [item.why for item in left].count("a removal that was cut short") == 1
    remove(left)
    assert unused(store) == []


def test_clean_wants_a_store(world):
    with pytest.raises(UserError, match="no store here"):
        unused(Store(world.root / "nowhere"))


def test_a_line_cut_off_in_the_event_log_does_not_swallow_the_next(world):
    (world.root / "events.jsonl").write_text('{"event": "one"}\n{"event": "cut', "utf-8")
    events = Events(world.root)
    events.write("two", text="日本語")
    events.close()
    assert [event["event"] for event in read_events(world.root)] == ["one", "two"]
    assert "日本語" in (world.root / "events.jsonl").read_text("utf-8")
    for line in (world.root / "events.jsonl").read_text("utf-8").splitlines()[2:]:
        assert json.loads(line)["time"]
