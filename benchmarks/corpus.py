"""Corpora beside their peers: each part of a build in a script of its own, and a whole build.

    python benchmarks/corpus.py                  all of them
    python benchmarks/corpus.py --only rules     one of rules, words, minhash, contamination, selection, ingest, pack,
                                                 pipeline, memory
    python benchmarks/corpus.py --quick          tiny sizes, to see that they work

Real Japanese text from WATARI_TEST_DATA. CPU time of one core where nothing else is said; `pipeline` is wall time with two
workers on both sides, and `memory` is the peak of one worker's process.
"""

from __future__ import annotations

import sys

from parts import run_parts

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


if __name__ == "__main__":
    sys.exit(run_parts("corpus", PARTS, __doc__))
