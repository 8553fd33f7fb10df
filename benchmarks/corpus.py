"""Corpora beside their peers: each part of a build in a script of its own, and a whole build.

    python benchmarks/corpus.py                  all of them
    python benchmarks/corpus.py --only rules     one of rules, words, minhash, contamination, selection, ingest, pack,
                                                 pipeline, memory
    python benchmarks/corpus.py --quick          tiny sizes, to see that they work

Real Japanese text from WATARI_TEST_DATA. CPU time of one core where nothing else is said; `pipeline` is wall time with two
workers on both sides, and `memory` is the peak of one worker's process.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from sides import arguments

PARTS = (
    "rules",
    "words",
    "minhash",
    "contamination",
    "selection",
    "ingest",
    "pack",
    "pipeline",
    "memory",
)


def _more(parser: ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part (may be repeated)")


def main() -> int:
    """Run the parts one after the other; their claims go to standard output as they come."""
    options = arguments(__doc__, _more)
    given = ["--quick"] if options.quick else []
    given += ["--repeats", str(options.repeats)] if options.repeats else []
    failed = []
    for part in options.only or PARTS:
        script = Path(__file__).with_name(f"corpus_{part}.py")
        print(f"corpus: {part} ...", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, str(script), *given], check=False).returncode:
            failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
