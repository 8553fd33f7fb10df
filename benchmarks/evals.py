"""Scoring of evaluations beside the libraries that first did it, and judging beside its limit.

    python benchmarks/evals.py                    all of them
    python benchmarks/evals.py --only jaster      one of jaster, shaberi, judge
    python benchmarks/evals.py --quick            tiny sizes: to see that they work

jaster   41 stored llm-jp-eval runs scored again, beside fuzzywuzzy with both of its string ratios
shaberi  every stored item score of six judges counted again, beside pandas; intervals beside plain numpy
judge    160 questions x 5 runs x 2 turns at a scripted judge with faults: wall against the limit; killed twice

WATARI_TEST_DATA says where the stored runs are.
"""

from __future__ import annotations

import sys

from parts import run_parts

PARTS = ("jaster", "shaberi", "judge")


if __name__ == "__main__":
    sys.exit(run_parts("evals", PARTS, __doc__))
