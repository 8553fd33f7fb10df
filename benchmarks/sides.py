"""What every script here shares: two sides measured in turn in one process, and the line of JSON that says how they did.

`ratio` is above 1 where ours is better: the peer's seconds over ours, or our score over the peer's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

KEYS = ("claim", "ours", "peer", "ratio", "unit", "peer_version", "sizes", "machine")


def one_thread() -> None:
    """Keep this process to one thread, so that CPU time is what a side costs; call before the first heavy import."""
    os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


def arguments(
    about: str | None, more: Callable[[argparse.ArgumentParser], object] = lambda parser: None
) -> argparse.Namespace:
    """Return the command line of a script: `quick`, `repeats`, and what `more` adds."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works, not how fast it is"
    )
    parser.add_argument("--repeats", type=int, help="measurements of each side (default: the script's own)")
    more(parser)
    return parser.parse_args()


def alternate(
    ours: Callable[[], object], peer: Callable[[], object], *, repeats: int, warm_up: bool = True
) -> tuple[float, float]:
    """Return the median CPU seconds of both sides, measured in turn; the side that goes first changes each time."""
    if warm_up:
        ours()
        peer()
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    sides = [("ours", ours), ("peer", peer)]
    for number in range(repeats):
        for name, side in sides if number % 2 == 0 else reversed(sides):
            gc.collect()
            began = time.process_time()
            side()
            seconds[name].append(time.process_time() - began)
    return statistics.median(seconds["ours"]), statistics.median(seconds["peer"])


def tell(
    claim: str,
    ours: float,
    peer: float,
    *,
    unit: str,
    peer_packages: tuple[str, ...] = (),
    peer_name: str = "",
    sizes: str,
    less_is_better: bool = True,
) -> None:
    """Print one claim as a line of JSON with the keys `KEYS`; `ratio` is null where it would divide by zero.

    The peer is told by its name, by the packages that it is made of with their versions, or by both.
    """
    above, below = (peer, ours) if less_is_better else (ours, peer)
    values = (
        claim,
        float(f"{ours:.4g}"),
        float(f"{peer:.4g}"),
        float(f"{above / below:.3g}") if below else None,
        unit,
        f"{peer_name} {', '.join(f'{name} {version(name)}' for name in peer_packages)}".strip(),
        sizes,
        machine(),
    )
    print(json.dumps(dict(zip(KEYS, values, strict=True)), ensure_ascii=False), flush=True)


def peak_of(script: str, side: str, folder: Path, rows: Path, *, quick: bool) -> float:
    """Return the peak memory in GB of one side's run in a process of its own: the last line that `script` prints.

    Args:
        script: The script, which takes --peak SIDE --model FOLDER --rows FILE.
        side, folder, rows: What it is given.
        quick: As on its own command line.
    """
    done = subprocess.run(
        [
            *(sys.executable, script, "--peak", side, "--model", str(folder), "--rows", str(rows)),
            *(["--quick"] if quick else []),
        ],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])


def machine() -> str:
    """Return the processor, the number of threads used (one), the Python and the torch."""
    return f"{_processor()}, 1 thread, Python {platform.python_version()}, torch {version('torch')}"


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
