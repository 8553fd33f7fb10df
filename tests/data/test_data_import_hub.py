"""A recipe's `datasets:` by hub id: what is read, under which key, and what a push, a lost network and a typo do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub_stand_in import run_python, serving, settings
from watari.artifact.rows import read_rows

RECIPE = """
name: hubbed
language: ja
datasets:
  chat: {path: PLACE, format: messages, license: mit}
stages:
  mixed: {uses: data.mix, data: [chat]}
"""


def lines(prefix: str) -> bytes:
    return "".join(
        json.dumps(
            {
                "id": f"{prefix}{n}",
                "messages": [
                    {"role": "user", "content": f"{prefix}の鳥は何羽？"},
                    {"role": "assistant", "content": f"{n}羽です。"},
                ],
            }
        )
        + "\n"
        for n in range(3)
    ).encode()


def watari(environment: dict[str, str], folder: Path, *arguments: str, code: int = 0) -> str:
    done = run_python(["-m", "watari", *arguments, "--out", "out"], environment, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_dataset_of_the_hub_feeds_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("PLACE", "org/chat"))
    with serving() as hub:
        first = hub.push("datasets/org/chat", {"README.md": b"words", "data/a.jsonl": lines("a")})
        hub.push("models/org/chat", {"config.json": b"{}"})
        online, offline = hub.settings(tmp_path / "home"), hub.settings(tmp_path / "home", offline=True)
        watari(online, tmp_path, "run", "recipe.yaml")
        made = tmp_path / "out" / "stages" / "chat"
        manifest = json.loads((made / "manifest.json").read_text("utf-8"))
        assert manifest["outside"] == {"hf://datasets/org/chat": first}
        rows = list(read_rows(made))
        assert [row["id"] for row in rows] == ["a0", "a1", "a2"]
        assert {row["source"] for row in rows} == {"org/chat"}
        assert "0 to run, 2 there" in watari(offline, tmp_path, "plan", "recipe.yaml")

        # A push makes it stale; without a network it stays what it was.
        hub.push("datasets/org/chat", {"data/a.jsonl": lines("a"), "data/b.jsonl": lines("b")})
        assert "2 to run, 0 there" in watari(online, tmp_path, "plan", "recipe.yaml")
        assert "0 to run, 2 there" in watari(offline, tmp_path, "plan", "recipe.yaml")

        # A commit that was named stays.
        named = RECIPE.replace("PLACE", f"hf://datasets/org/chat@{first}")
        (tmp_path / "recipe.yaml").write_text(named)
        watari(online, tmp_path, "run", "recipe.yaml")
        assert [row["id"] for row in read_rows(made)] == ["a0", "a1", "a2"]
        assert hub.fetched() == ["a.jsonl"]  # it was in the cache


def test_a_name_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("PLACE", "org/chta"))
    with serving() as hub:
        told = watari(hub.settings(tmp_path), tmp_path, "plan", "recipe.yaml", code=1)
    assert "datasets.chat: hf://datasets/org/chta: the hub has no such dataset, or a private one" in told
    assert "HF_TOKEN" in told
    told = watari(settings("http://127.0.0.1:9", tmp_path), tmp_path, "run", "recipe.yaml", code=1)
    assert "datasets.chat: hf://datasets/org/chta: the hub does not answer" in told
