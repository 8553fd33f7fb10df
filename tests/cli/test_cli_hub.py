"""Commands that read rows of the hub: `org/name` and `hf://` as they stand, one line where the hub has no such thing."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_stand_in import HubStandIn, serving
from python_nursery import Nursery, nursery

TALK = [
    {"role": "user", "content": "Please explain how bread is baked at home."},
    {"role": "assistant", "content": "Mix flour and water, wait until the dough has risen, and bake it."},
]
PAIR = {"id": "p1", "source_messages": TALK, "messages": TALK}
PROMPTS = [{"id": "r1", "prompt": "What rhymes with blue?"}, {"id": "r2", "prompt": "How do I bake bread?"}]
SAID = [
    {"id": "g1", "prompt": "鳥は？", "response": "鳥はпривет飛ぶ。", "expected_lang": "ja"},
    {"id": "g2", "prompt": "川は？", "response": "川は流れる。", "expected_lang": "ja"},
]
JUDGED = [{"question_id": 81, "model": "m", "turn": 1, "judgment": "[[4]]", "score": 5}]


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    with serving() as standing:
        readme = b"# words\n"
        standing.push("datasets/org/pairs", {"README.md": readme, "pairs.jsonl": lines(PAIR)})
        standing.push("datasets/org/prompts", {"data/prompts.jsonl.gz": gzip.compress(lines(*PROMPTS))})
        standing.push("datasets/org/said", {"a.jsonl": lines(SAID[0]), "b.jsonl": lines(SAID[1])})
        standing.push("datasets/org/judged", {"README.md": readme, "gpt-4_single.jsonl": lines(*JUDGED)})
        standing.push("datasets/org/twice", {"a.jsonl": lines(*JUDGED), "b.jsonl": lines(*JUDGED)})
        yield standing


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub-home")


@pytest.fixture(scope="module")
def kept() -> Iterator[Nursery]:
    with nursery() as begun:
        yield begun


Watari = Any


@pytest.fixture
def watari(hub: HubStandIn, home: Path, kept: Nursery) -> Watari:
    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = kept.run(["-m", "watari", *words], hub.settings(home))
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("place", ["org/pairs", "hf://org/pairs", "hf://datasets/org/pairs/pairs.jsonl"])
def test_check(watari: Watari, place: str) -> None:
    (told,) = rows(watari("check", place, "--json"))
    assert told["id"] == "p1"
    assert told["findings"]  # nothing was translated


def test_route(watari: Watari) -> None:
    told = rows(watari("route", "org/prompts", "--json"))
    assert [(one["id"], one["translate"]) for one in told] == [("r1", False), ("r2", True)]


@pytest.mark.parametrize(
    ("place", "ids"),
    [
        ("hf://datasets/org/said/a.jsonl", ["g1"]),
        ("hf://org/said", ["g1", "g2"]),
        ("org/said", ["g1", "g2"]),
    ],
)
def test_leakage_scan(watari: Watari, place: str, ids: list[str]) -> None:
    *told, last = rows(watari("leakage", "scan", place, "--json"))
    assert [one["id"] for one in told] == ids
    assert told[0]["events"][0]["span"] == "привет"
    assert (last["summary"]["responses"], last["summary"]["leaking"]) == (len(ids), 1)


def test_leakage_compare(watari: Watari) -> None:
    place = "hf://datasets/org/said/a.jsonl"
    pair = json.loads(watari("leakage", "compare", place, place, "--json").stdout)
    assert place in json.dumps(pair)


@pytest.mark.parametrize("place", ["hf://org/judged", "hf://datasets/org/judged/gpt-4_single.jsonl"])
def test_eval_rating_and_score(watari: Watari, place: str) -> None:
    found = json.loads(watari("eval", "rating", "--spec", "fastchat-mt-bench", place, "--json").stdout)
    assert found["file"] == place
    assert [(one["rating"], one["stored"]) for one in found["ratings"]] == [(4, 5)]
    scored = json.loads(watari("eval", "score", "fastchat-mt-bench", place, "--json").stdout)
    assert scored["models"]["m"]["overall"] == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "org/nothing"], "hf://datasets/org/nothing: the hub has no such dataset"),
        (["route", "org/nothing"], "hf://datasets/org/nothing: the hub has no such dataset"),
        (["leakage", "scan", "hf://datasets/org/said/c.jsonl"], "c.jsonl: no such file in this repository"),
        (
            ["eval", "rating", "--spec", "fastchat-mt-bench", "hf://org/twice"],
            "hf://org/twice: 2 files of rows",
        ),
        (
            ["eval", "rating", "--spec", "shaberi", "https://127.0.0.1/a.jsonl"],
            "is neither a file nor on the hub",
        ),
    ],
    ids=["check", "route", "scan", "several", "elsewhere"],
)
def test_is_refused_in_one_line(watari: Watari, words: list[str], told: str) -> None:
    line, *mend = watari(*words, code=1).stderr.splitlines()
    assert told in line
    assert len(mend) <= 1
