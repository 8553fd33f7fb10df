"""How much memory a build needs, whatever the size of its input: peak of every process, read from /proc while it runs.

The input is real Japanese text (kyoto-wiki, an article a document), written again and again, each time with other
characters changed, so that the copies are documents of their own and not near-duplicates that fall away at once.

  python benchmarks/corpus_memory.py --gigabytes 2
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sides import arguments, tell

BAR = 700
"""MiB a worker."""
CHANGED = 0.12
"""Share of characters that each copy changes: a character 5-gram survives with 0.53, so copies agree in 0.2."""


def main() -> None:
    """Write the input, build, and print the peak of the largest worker beside the bar."""
    options = arguments(__doc__, _more)
    size = options.gigabytes or (0.02 if options.quick else 2.0)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        source = Path(scratch) / "pages.jsonl"
        documents = write(source, int(size * 1e9))
        began = time.monotonic()
        peaks = build(source, Path(scratch) / "corpus", options.workers)
        seconds = time.monotonic() - began
        driver = peaks.pop("driver")
        tell(
            "peak memory of a worker of corpus.build (ja-swallow, near duplicates, report)",
            max(peaks.values()) / 1024,
            BAR,
            unit="MiB",
            peer_name="the bar",
            sizes=f"{source.stat().st_size / 1e9:.2f} GB, {documents:,} documents, {options.workers} workers,"
            f" {len(peaks)} processes; the command itself {driver / 1024:.0f} MiB; {seconds:.0f} s",
        )


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gigabytes", type=float, help="size of the input (default: 2)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")


def write(path: Path, size: int) -> int:
    """Write a .jsonl of about `size` bytes and return how many documents it holds."""
    with gzip.open(
        Path(os.environ["WATARI_TEST_DATA"]) / "kyoto-wiki" / "docs.jsonl.gz", "rt", "utf-8"
    ) as lines:
        texts = ["\n".join(json.loads(line)["ja"]) for line in lines]
    letters = sorted({letter for text in texts[:500] for letter in text if letter.isalpha()})
    draws = random.Random(7)
    written = documents = 0
    with path.open("w", encoding="utf-8") as out:
        while written < size:
            for text in texts:
                changed = list(text)
                for place in draws.sample(range(len(text)), int(len(text) * CHANGED)):
                    changed[place] = draws.choice(letters)
                line = json.dumps({"text": "".join(changed)}, ensure_ascii=False) + "\n"
                out.write(line)
                written += len(line.encode("utf-8"))
                documents += 1
                if written >= size:
                    break
    return documents


def build(source: Path, out: Path, workers: int) -> dict[str, int]:
    """Run `watari corpus build` and return the peak of each of its processes in KiB; `driver` is the command itself."""
    command = [
        *(sys.executable, "-m", "watari", "corpus", "build", "--profile", "ja-swallow"),
        *("--input", str(source), "--out", str(out), "--workers", str(workers), "--quiet"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    peaks: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            for pid in family(process.pid):
                name = "driver" if pid == process.pid else str(pid)
                peaks[name] = max(peaks.get(name, 0), peak(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"the build ended with exit code {code}")
    return peaks


def family(root: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def peak(pid: int) -> int:
    """Return the largest resident set of a process so far, in KiB; 0 if it has gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
