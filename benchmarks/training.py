"""Training beside its peers: continual pre-training, supervised fine-tuning and DPO, each in a script of its own.

    python benchmarks/training.py                 all three
    python benchmarks/training.py --only cpt      one of cpt, sft, dpo
    python benchmarks/training.py --quick         tiny sizes, to see that they work

The peers are transformers' Trainer and TRL with the settings that their documentation recommends; both sides have the same
model, data and steps, and their losses are compared before a ratio is printed. Peak memory is that of a process of its
own for each side.
"""

from __future__ import annotations

import sys

from parts import run_parts

PARTS = ("cpt", "sft", "dpo")


if __name__ == "__main__":
    sys.exit(run_parts("training", PARTS, __doc__))
