"""How stages end badly, and what a person is told."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from watari.errors import StageFailed, UserError
from watari.flow.folder import read_events
from watari.flow.inspect import show


def failing(how: str, **more):
    return {
        "a": {"uses": "toy.source", "path": "a.txt"},
        "bad": {"uses": "toy.fail", "documents": "a", "how": how, **more},
        "after": {"uses": "toy.join", "documents": "bad"},
    }


@pytest.mark.parametrize(
    ("how", "kind", "message", "mend"),
    [
        ("user", UserError, "stage 'bad': rows.jsonl: line 7: not JSON", "mend the row"),
        ("defect", StageFailed, "stage 'bad': ZeroDivisionError: by nought", "the traceback is in "),
        ("exit", StageFailed, "stage 'bad': its process ended with exit code 7", "what it printed is in "),
        (
            "kill",
            StageFailed,
            "stage 'bad': its process was ended by signal 9 (SIGKILL); out of memory?",
            "run again to go on",
        ),
        (
            "space",
            StageFailed,
            "stage 'bad': no space left on the disk that holds ",
            "free some (`watari clean`)",
        ),
        ("chained", StageFailed, "stage 'bad': no space left on the disk that holds ", "free some"),
        ("denied", StageFailed, "stage 'bad': may not read or write /some/where", "check the permissions"),
        ("memory", StageFailed, "stage 'bad': out of memory", "lower `batch`"),
        ("nan", StageFailed, "stage 'bad': toy.fail: its metrics are not plain finite figures", None),
    ],
)
def test_every_end_is_told_in_one_line(world, how, kind, message, mend):
    world.write(failing(how))
    with pytest.raises(kind) as caught:
        world.run()
    assert caught.value.message.startswith(message)
    assert "\n" not in str(caught.value)
    if mend is not None:
        assert caught.value.mend.startswith(mend)
    states = {stage.name: (stage.state, stage.error) for stage in show(world.root / "runs/toy")}
    assert states["a"][0] == "done"
    assert states["bad"] == ("failed", caught.value.message.removeprefix("stage 'bad': "))
    assert states["after"] == ("waiting", None)
    assert world.display.ends["bad"][0] == "failed"
    assert not list((world.root / "runs/.store").glob("documents/*/big.bin"))


def test_the_traceback_of_a_defect_is_in_the_log(world):
    world.write(failing("defect"))
    with pytest.raises(StageFailed) as caught:
        world.run()
    log = Path(caught.value.mend.removeprefix("the traceback is in "))
    assert 'raise ZeroDivisionError("by nought")' in log.read_text("utf-8")


def test_what_runs_beside_a_failure_goes_on_to_its_end(world):
    stages = failing("user", after=0.3)
    stages["count"] = {"uses": "toy.slow", "documents": "a", "steps": 40, "pause": 0.05}
    stages["late"] = {"uses": "toy.join", "documents": "a", "suffix": "late"}
    world.write({"a": stages["a"], "count": stages["count"], "bad": stages["bad"], "late": stages["late"]})
    with pytest.raises(UserError, match="stage 'bad'"):
        world.run(jobs=2)
    states = {stage.name: stage.state for stage in show(world.root / "runs/toy")}
    assert states == {"a": "done", "count": "done", "bad": "failed", "late": "waiting"}


def test_a_missing_file_leaves_what_runs_alone(world):
    """A mistake that is seen only when a stage is about to start does not kill those that run."""
    stages = {
        "a": {"uses": "toy.source", "path": "a.txt"},
        "count": {"uses": "toy.slow", "documents": "a", "steps": 40, "pause": 0.05},
        "both": {"uses": "toy.join", "documents": "a", "extra": [{"path": "b.txt"}]},
    }
    world.write(stages)
    recipe = world.load()

    from watari.flow.runner import Runner

    runner = Runner(recipe, world.folder(), jobs=2, display=world.display, table=world.table)
    start = runner._start

    def start_and_remove(node, *rest):
        start(node, *rest)
        if node.name == "count":
            (world.root / "b.txt").unlink()

    runner._start = start_and_remove
    with pytest.raises(UserError, match=r"stages\.both: .*b\.txt: no such file"):
        runner.run()
    states = {stage.name: stage.state for stage in show(world.root / "runs/toy")}
    assert states == {"a": "done", "count": "done", "both": "failed"}


def test_a_failed_stage_is_made_when_its_cause_is_gone(world):
    (world.root / "a.txt").write_text("alpha\nBROKEN\n", "utf-8")
    world.write({"a": {"uses": "toy.source", "path": "a.txt"}})
    with pytest.raises(UserError, match=r"line 2: broken"):
        world.run()
    (world.root / "a.txt").write_text("alpha\n", "utf-8")
    assert world.run().built == ["a"]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 3 MB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("may not mount a tmpfs here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as handle, suppress(OSError):
        while handle.write(b"\0" * 4096):
            pass
    assert shutil.disk_usage(disk).free == 0


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(world, small_disk):
    world.write(failing("none", megabytes=4))
    out = str(small_disk / "runs/toy")
    with pytest.raises(
        StageFailed, match=r"stage 'bad': no space left on the disk that holds .*small/runs/\.store"
    ):
        world.run(out=out)
    assert {stage.name: stage.state for stage in show(Path(out))}["a"] == "done"
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    assert world.run("after=null", out=out).built == ["bad"]


def test_a_disk_that_is_full_from_the_start_is_told(world, small_disk):
    world.write(failing("none"))
    (small_disk / "runs").mkdir()
    fill(small_disk)
    with pytest.raises((StageFailed, UserError), match=r"No space left on device|no space left on the disk"):
        world.run(out=str(small_disk / "runs/toy"))


def test_a_full_disk_under_the_run_folder_is_told(world, small_disk):
    """The log and the events are on a full disk, the store is not."""
    world.write({"a": {"uses": "toy.source", "path": "a.txt"}})
    root = small_disk / "runs/toy"
    root.mkdir(parents=True)
    (root / ".lock").write_text("0\n")
    fill(small_disk)
    with pytest.raises((StageFailed, UserError), match=r"(?i)no space left"):
        world.run(out=str(root), store=world.root / "store")


def test_a_second_run_on_the_same_folder_is_refused(world, two_sources):
    world.write(two_sources(steps=2000, pause=0.01))
    process = world.popen("run", "recipe.yaml", "--out", "runs/toy")
    try:
        wait_for_event(world.root / "runs/toy", "stage_started", "count")
        states = {stage.name: stage.state for stage in show(world.root / "runs/toy")}
        assert states["count"] == "running"
        second = world.command("run", "recipe.yaml", "--out", "runs/toy")
        assert second.returncode == 1
        assert second.stderr.splitlines() == [
            f"watari: {world.root}/runs/toy: another `watari run` (process {process.pid}) is using this folder",
            "        wait for it, stop it, or give another --out",
        ]
        clean = world.command("clean", "--store", "runs/.store", "--yes")
        assert clean.returncode == 1
        assert "a run is using this store now" in clean.stderr
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for_event(root: Path, event: str, stage: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(e["event"] == event and e.get("stage") == stage for e in read_events(root)):
            return
        time.sleep(0.02)
    raise AssertionError(f"no {event} of {stage} within {seconds} s: {read_events(root)}")
