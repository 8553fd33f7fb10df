"""Building a tokenizer in a process of its own, so that its time and memory are its own.

Run as a script it is that process: `tokenizer_build.py SIDE TEXTS COUNT` builds and prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizer_peers import Weighed


@dataclass(frozen=True)
class Cost:
    """Of one build.

    Args:
        cpu: CPU seconds, reading the text and writing the files included, starting Python not.
        wall: Seconds on the clock.
        memory: GB of the largest resident set.
        pieces: New pieces made.
    """

    cpu: float
    wall: float
    memory: float
    pieces: int


def write_texts(sources: Sequence[Weighed], path: Path) -> None:
    """Write the learning text for the child: a source and a document a line."""
    with path.open("w", encoding="utf-8") as file:
        for source in sources:
            for text in source.documents:
                row = {"source": source.name, "weight": source.weight, "text": text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def build_cost(side: str, texts: Path, count: int) -> Cost:
    """Return what a build costs in a fresh process; `side` is "ours", "ours-unpruned" or "peer"."""
    done = subprocess.run(
        [sys.executable, __file__, side, str(texts), str(count)], stdout=subprocess.PIPE, check=True
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _build_ours(rows: Sequence[dict[str, Any]], count: int, *, pruned: bool) -> int:
    from watari.tokenizer.build import extend_tokenizer, write_extension
    from watari.tokenizer.goal import Goal
    from watari.tokenizer.opening import open_base
    from watari.tokenizer.policy import Policy
    from watari.tokenizer.script import script_of
    from watari.tokenizer.texts import Text

    extension = extend_tokenizer(
        open_base("mistral-v1"),
        [Text(str(place), row["text"], "ja", row["source"]) for place, row in enumerate(rows)],
        Policy(script_of("ja")),
        Goal(add=count),
        weights={row["source"]: float(row["weight"]) for row in rows},
        prune_unused=pruned,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_extension(extension, Path(folder))
    return len(extension.graft.pieces)


def _build_peer(rows: Sequence[dict[str, Any]], count: int) -> int:
    """Learn as many pieces from nothing with `tokenizers`, inside the stretches of Japanese characters."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    from watari.tokenizer.script import script_of

    script = script_of("ja")
    texts = [row["text"] for row in rows]
    fresh = Tokenizer(models.BPE())
    fresh.pre_tokenizer = pre_tokenizers.Split(Regex(f"[{_escaped(script.strict)}]+"), "removed", invert=True)
    characters = {character for text in texts for character in set(text) if script.has_strict(character)}
    trainer = trainers.BpeTrainer(
        vocab_size=len(characters) + count, min_frequency=2, max_token_length=16, show_progress=False
    )
    fresh.train_from_iterator(texts, trainer)
    with tempfile.TemporaryDirectory() as folder:
        fresh.save(str(Path(folder) / "tokenizer.json"))
    return int(fresh.get_vocab_size()) - len(characters)


def _escaped(ranges: Sequence[tuple[int, int]]) -> str:
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)


def _peak() -> float:
    """Return the largest resident set of this process in GB.

    `ru_maxrss` would begin at the size of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
    # In bytes on macOS, which has no /proc.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def _main(side: str, path: str, count: str) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    with Path(path).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if side == "peer":
        pieces = _build_peer(rows, int(count))
    else:
        pieces = _build_ours(rows, int(count), pruned=side == "ours")
    cost = Cost(time.process_time() - cpu, time.perf_counter() - wall, _peak(), pieces)
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
