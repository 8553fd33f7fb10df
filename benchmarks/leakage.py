"""Language leakage: how well the detector finds it, and what it says of the published question.

    python benchmarks/leakage.py                    all of them
    python benchmarks/leakage.py --only detector    one of detector, published
    python benchmarks/leakage.py --quick            tiny sizes: to see that they work

detector   hand labels, clean text, injected words and speed, beside line- and word-level pass rates on the same answers
published  leakage by temperature, before and after DPO, on the stored runs

By itself, since it trains models first: leakage_repair.py, which prints a table of arms. The sampler sweep: sweep.py.

WATARI_TEST_DATA says where the stored runs are.
"""

from __future__ import annotations

import sys

from parts import run_parts

PARTS = ("detector", "published")


if __name__ == "__main__":
    sys.exit(run_parts("leakage", PARTS, __doc__))
