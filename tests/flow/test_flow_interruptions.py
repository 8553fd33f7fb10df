"""Ctrl-C, SIGTERM and kill -9: nothing is lost, nothing is left behind, the same bytes come out."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from watari.flow.folder import read_events
from watari.flow.inspect import show, verify_run


def stages(**slow):
    return {
        "a": {"uses": "toy.source", "path": "a.txt"},
        "b": {"uses": "toy.source", "path": "b.txt"},
        "both": {"uses": "toy.join", "documents": ["a", "b"], "suffix": "!"},
        "count": {"uses": "toy.slow", "documents": "both", **slow},
        "last": {"uses": "toy.slow", "documents": "a", "steps": 5},
    }


def wait_until(true, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def counting(root: Path, steps: int = 3):
    def far_enough() -> bool:
        return any(
            event["event"] == "stage_started" and event["stage"] == "count" for event in read_events(root)
        ) and any(
            len(state.read_text().split()) >= steps
            for state in root.parent.glob(".store/partial/*/work/state")
        )

    return far_enough


def processes_of_session(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # state, parent, group, session
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def nobody_left(session: int):
    return lambda: processes_of_session(session) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_ctrl_c_stops_at_the_next_safe_point_and_the_next_run_goes_on(world, number):
    world.write(stages(steps=200, pause=0.02))
    root = world.root / "runs/toy"
    process = world.popen("run", "recipe.yaml")
    wait_until(counting(root))
    # A terminal sends it to the whole foreground group.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-2:] == [
        "watari: stopped; what was finished is kept",
        "        run the same command to go on",
    ]
    states = {stage.name: stage.state for stage in show(root)}
    assert states == {"a": "done", "b": "done", "both": "done", "count": "interrupted", "last": "waiting"}
    # A group-wide SIGTERM also ends the workers; here only the main process got it. Either way it goes on.
    (state,) = root.parent.glob(".store/partial/*/work/state")
    done = len(state.read_text().split())
    assert done >= 3
    # What a writer that is killed before its rename leaves must not become content.
    (state.parent.parent / ".sums.txt.4711.tmp").write_text("torn")
    assert world.run("count.pause=0.02").built == ["count", "last"]
    assert not list((root / "stages/count").glob(".*"))
    sessions = (root / "stages/count/logs/sessions").read_text("utf-8").splitlines()
    assert len(sessions) == 2
    assert sessions[1].endswith(f"from {done}")
    assert processes_of_session(process.pid) == []


def test_a_second_ctrl_c_stops_at_once(world):
    world.write(stages(steps=4000, pause=0.02, deaf=True))
    root = world.root / "runs/toy"
    process = world.popen("run", "recipe.yaml")
    wait_until(counting(root))
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)  # the stage itself would go on for 80 s
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopping at the next safe point: count; Ctrl-C again to stop at once" in err
    assert "watari: stopped at once" in err
    assert {stage.name: stage.state for stage in show(root)}["count"] == "interrupted"
    wait_until(nobody_left(process.pid), 10)


def kill_and_go_on(world, kills: int, seed: int) -> None:
    """Kill runs at random moments, go on with the same command, compare with a run that nobody disturbed."""
    world.write(stages(steps=60, pause=0.01))
    begin = time.monotonic()
    assert world.command("run", "recipe.yaml", "--out", "calm/run").returncode == 0
    whole = time.monotonic() - begin
    expected = world.digests("calm/run")
    assert all(expected.values())
    draws = random.Random(seed)
    done = completed = 0
    while done < kills:
        process = world.popen("run", "recipe.yaml", "--out", "wild/run")
        time.sleep(draws.uniform(0.1, 1.0) * whole)
        if process.poll() is None:
            process.kill()
            done += 1
        process.communicate()
        wait_until(nobody_left(process.pid), 10)
        root = world.root / "wild/run"
        store = root.parent / ".store"
        # A folder that has its name is complete, at every moment.
        for artifact in store.glob("documents/*"), store.glob("model/*"):
            assert all((path / "manifest.json").is_file() for path in artifact)
        if process.returncode == 0:
            assert world.digests("wild/run") == expected
            completed += 1
            shutil.rmtree(root.parent)
    final = world.command("run", "recipe.yaml", "--out", "wild/run")
    assert final.returncode == 0, final.stderr
    assert world.digests("wild/run") == expected
    assert verify_run(world.root / "wild/run").faults == []
    assert not list((world.root / "wild/.store").glob("partial/*/"))


def test_killed_and_run_again_gives_the_same_bytes(world):
    kill_and_go_on(world, kills=3, seed=1)


@pytest.mark.slow
def test_killed_at_twenty_four_random_moments_gives_the_same_bytes(world):
    kill_and_go_on(world, kills=24, seed=2)


def test_a_killed_worker_does_not_take_the_run_with_it(world):
    world.write(stages(steps=400, pause=0.02, pid_file=str(world.root / "pid")))
    process = world.popen("run", "recipe.yaml")
    wait_until(counting(world.root / "runs/toy"))
    os.kill(int((world.root / "pid").read_text()), signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "watari: stage 'count': its process was ended by signal 9 (SIGKILL); out of memory?" in err
    assert "Traceback" not in err


def test_workers_die_with_the_main_process(world):
    world.write(stages(steps=4000, pause=0.02, deaf=True, pid_file=str(world.root / "pid")))
    process = world.popen("run", "recipe.yaml")
    wait_until(counting(world.root / "runs/toy"))
    assert len(processes_of_session(process.pid)) >= 3
    process.kill()
    process.communicate()
    wait_until(nobody_left(process.pid), 10)
    # The folder and the artifact are free again at once.
    assert {stage.name: stage.state for stage in show(world.root / "runs/toy")}["count"] == "interrupted"
    assert world.run("count.steps=3").built == ["count", "last"]
