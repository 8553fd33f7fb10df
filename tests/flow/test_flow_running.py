"""The processes of the stages that run now."""

import os
import time
from datetime import datetime
from itertools import pairwise

import pytest

from watari.errors import Interrupted, StageFailed
from watari.flow.folder import Events, read_events
from watari.flow.keys import fingerprints
from watari.flow.processes import server
from watari.flow.running import RunningStages
from watari.flow.worker import Failed, Finished, Work


@pytest.fixture
def running(world):
    made = RunningStages(world.display)
    yield made
    made.kill_all()


@pytest.fixture
def events(world):
    events = Events(world.root / "runs/toy")
    yield events
    events.close()


def start(world, running, events, name: str, key: str, needs: int = 1) -> None:
    """Begin a stage; what it takes from others is not given to it."""
    node = world.load().nodes[name]
    folder = world.folder()
    task = Work(
        name=name,
        module=world.table.module(node.stage.kind),
        params=node.params,
        run=folder.root,
        inputs=[],
        key=key,
        outside=fingerprints(node),
        store=folder.store.root,
        log=folder.log_path(name),
    )
    running.start(node, task, server([]), needs=needs, events=events)


def all_ended(running, events) -> dict[str, object]:
    ended = {}
    while running:
        ended |= {one.node.name: one.result for one in running.listen(events)}
    return ended


def until_counting(world) -> None:
    deadline = time.monotonic() + 60
    while not list((world.root / "runs/.store/partial").glob("*/work/state")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counting(world, **slow) -> None:
    stages = {"count": {"uses": "toy.slow", "documents": "a", "steps": 4000, "pause": 0.02, **slow}}
    world.write({"a": {"uses": "toy.source", "path": "a.txt"}, **stages})


def test_they_are_counted_until_they_have_ended(world, running, events):
    sources = {name: {"uses": "toy.source", "path": f"{name}.txt"} for name in ("a", "b")}
    world.write(sources)
    assert not running
    start(world, running, events, "a", "1" * 32, needs=3)
    start(world, running, events, "b", "2" * 32, needs=4)
    assert (len(running), running.needs()) == (2, 7)
    assert [running.building(key * 32) for key in "123"] == [True, True, False]
    ended = all_ended(running, events)
    assert ended == {
        "a": Finished(world.root / "runs/.store/documents" / ("1" * 32), built=True),
        "b": Finished(world.root / "runs/.store/documents" / ("2" * 32), built=True),
    }
    assert (len(running), running.needs(), running.building("1" * 32)) == (0, 0, False)
    begun = [event for event in read_events(world.root / "runs/toy") if event["event"] == "stage_started"]
    assert [(event["stage"], event["uses"], event["key"]) for event in begun] == [
        ("a", "toy.source", "1" * 32),
        ("b", "toy.source", "2" * 32),
    ]
    assert world.display.lines == ["start a", "start b"]


def test_one_that_is_asked_stops_at_its_next_safe_point(world, running, events):
    counting(world)
    running.ask_to_stop()
    start(world, running, events, "count", "1" * 32)
    until_counting(world)
    running.ask_to_stop()
    running.ask_to_stop()
    result = all_ended(running, events)["count"]
    assert isinstance(result, Failed)
    assert isinstance(result.error, Interrupted)
    # Told once, and not where nobody runs.
    told = "stopping at the next safe point: count; Ctrl-C again to stop at once"
    assert world.display.lines == ["start count", told]


def test_one_that_is_deaf_can_be_killed(world, running, events):
    counting(world, deaf=True, pid_file=str(world.root / "pid"))
    start(world, running, events, "count", "1" * 32)
    until_counting(world)
    running.ask_to_stop()
    assert list(running.listen(events)) == []
    running.kill_all()
    assert len(running) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((world.root / "pid").read_text()), 0)


def test_one_that_ends_without_a_word_has_failed(world, running, events):
    stages = {"bad": {"uses": "toy.fail", "documents": "a", "how": "exit"}}
    world.write({"a": {"uses": "toy.source", "path": "a.txt"}, **stages})
    start(world, running, events, "bad", "1" * 32)
    result = all_ended(running, events)["bad"]
    assert isinstance(result, Failed)
    assert isinstance(result.error, StageFailed)
    assert result.error.message == "its process ended with exit code 7"
    assert result.error.mend == f"what it printed is in {world.root / 'runs/toy/logs/bad.log'}"


def test_how_far_a_stage_is_stands_in_the_log_now_and_then(world, running, events):
    counting(world, steps=40, pause=0.005)
    start(world, running, events, "count", "1" * 32)
    (ended,) = all_ended(running, events).values()
    assert isinstance(ended, Failed)  # it has no input to write down
    told = [event for event in read_events(world.root / "runs/toy") if event["event"] == "stage_progress"]
    assert {(event["stage"], event["unit"], event["total"]) for event in told} == {("count", "steps", 40)}
    # The first word at once, each later one five seconds after the one before.
    times = [datetime.fromisoformat(event["time"]) for event in told]
    assert all((later - earlier).total_seconds() > 4.9 for earlier, later in pairwise(times))
