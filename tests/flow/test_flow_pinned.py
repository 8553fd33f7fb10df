"""What a stage reads of the hub is what its key names, whatever was pushed since."""

from __future__ import annotations

import json
from pathlib import Path

from hub_stand_in import run_python, serving
from watari.artifact.rows import read_rows

WORK = """
import sys, multiprocessing
from pathlib import Path
from watari.data.importing import Params
from watari.flow.worker import Finished, Work, work

commit, folder = sys.argv[1], Path(sys.argv[2])
place = "hf://datasets/org/moving"
task = Work(
    name="chat", module="watari.data.importing", params=Params(path=place, format="messages"), run=folder, inputs=[],
    key="0" * 32, outside={place: commit}, store=folder / "store", log=folder / "log",
)
(here, there), (_, life) = multiprocessing.Pipe(), multiprocessing.Pipe()
work(there, life, task)
while not isinstance(said := here.recv(), Finished):
    assert not hasattr(said, "error"), said
(folder / "made").write_text(str(said.path))
"""


def lines(*words: str) -> bytes:
    rows = [
        [{"role": "user", "content": f"{word}は？"}, {"role": "assistant", "content": "飛ぶ。"}]
        for word in words
    ]
    return "".join(
        json.dumps({"id": word, "messages": row}) + "\n" for word, row in zip(words, rows, strict=True)
    ).encode()


def test_a_push_between_the_key_and_the_stage_is_not_read(tmp_path: Path) -> None:
    with serving() as hub:
        keyed = hub.push("datasets/org/moving", {"a.jsonl": lines("鳥")})
        hub.push("datasets/org/moving", {"a.jsonl": lines("鳥", "魚"), "b.jsonl": lines("虫")})
        done = run_python(["-c", WORK, keyed, str(tmp_path)], hub.settings(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    made = Path((tmp_path / "made").read_text())
    assert [row["id"] for row in read_rows(made)] == ["鳥"]
    manifest = json.loads((made / "manifest.json").read_text("utf-8"))
    assert manifest["outside"] == {"hf://datasets/org/moving": keyed}
