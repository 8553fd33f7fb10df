"""kill -9 at random moments: what was lost, what was asked again, what a finished run sends when it is run again.

One work of some thousand rows is begun, killed and begun again with the same ledger until it is done; the server counts which
bodies it has answered more than once. Allowed: what was in flight at each kill, and what came in within the 100 ms until the
ledger's commit. An answer that the client never received in whole is lost with the connection, not asked again.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from endpoint_bench import CLIENTS, FAULTS, HERE, OURS, SERVER, run_client, say, server, sizes, stats
from sides import arguments, tell

SEED = 6
COMMIT = 0.1


def main() -> None:
    """Kill, count, run again."""
    options = arguments(__doc__)
    kills, rows, concurrency = (2, 400, 32) if options.quick else (20, 20_000, 256)
    draw = random.Random(SEED)
    done_kills = 0
    with (
        tempfile.TemporaryDirectory(prefix="watari-crash-") as name,
        server(settings=f"{SERVER}&{FAULTS}") as base,
    ):
        folder = Path(name)
        rate = concurrency / 0.2
        for number in range(kills):
            # Somewhere in the first part of what is left, from the start of the process on: also while it comes up.
            left = rows - int(stats(base)["bodies_answered"])
            pause = draw.uniform(0.2, 0.8 + 0.8 * left / rate / (kills - number))
            if not _killed_after(pause, base, rows, concurrency, folder):
                break
            done_kills += 1
            say(f"kill {number + 1} after {pause:.2f} s: {stats(base)['bodies_answered']} answered")
        ran = run_client(OURS, base, rows, concurrency, limit=300, folder=folder)
        assert ran is not None
        assert ran.finished, ran.why
        seen = stats(base)
        on_record = _recorded(folder / "ledger.sqlite")
        stats(base, again=True)
        second = run_client(OURS, base, rows, concurrency, limit=300, folder=folder)
        assert second is not None
        assert second.finished, second.why
        sent_again = stats(base)["requests"]
    lost = rows - min(ran.rows, on_record)
    again = seen["answered_again"]
    allowed = done_kills * (concurrency + COMMIT * rate)
    about = sizes(f"{rows} rows, {concurrency} in flight, {done_kills} kills, 1 % 429, 1 % 500")
    tell("rows lost to kill -9", lost, 0, unit="rows", peer_name="bar", sizes=about)
    tell(
        "answers paid for twice, after all kills",
        again,
        allowed,
        unit="answers",
        peer_name="bar: in flight + 100 ms of answers, a kill",
        sizes=about,
    )
    tell(
        "requests of a finished run, run again", sent_again, 0, unit="requests", peer_name="bar", sizes=about
    )


def _killed_after(pause: float, base: str, rows: int, concurrency: int, folder: Path) -> bool:
    """Begin the work and kill it; False if it was done before."""
    command = [
        *(sys.executable, str(CLIENTS / OURS.script), "--url", base, "--rows", str(rows)),
        *("--concurrency", str(concurrency), "--folder", str(folder)),
    ]
    paths = f"{HERE.parent / 'src'}:{CLIENTS}"
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={"PYTHONPATH": paths, "PATH": "/usr/bin"}
    )
    # From its first sign of life on, so that a kill is in the work and not before it.
    began, before = time.monotonic(), int(stats(base)["requests"])
    while child.poll() is None and int(stats(base)["requests"]) == before and time.monotonic() - began < 30:
        time.sleep(0.02)
    time.sleep(pause)
    running = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    return running


def _recorded(file: Path) -> int:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        query = "SELECT count(DISTINCT key) FROM attempt WHERE status = 'answered'"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


if __name__ == "__main__":
    main()
