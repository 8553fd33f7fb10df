"""Training beside its peers: continual pre-training, supervised fine-tuning and DPO, each in a script of its own.

    python benchmarks/training.py                 all three
    python benchmarks/training.py --only cpt      one of cpt, sft, dpo
    python benchmarks/training.py --quick         tiny sizes, to see that they work

The peers are transformers' Trainer and TRL with the settings that their documentation recommends; both sides have the same
model, data and steps, and their losses are compared before a ratio is printed. Peak memory is that of a process of its
own for each side.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from sides import arguments

PARTS = ("cpt", "sft", "dpo")


def _more(parser: ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part (may be repeated)")


def main() -> int:
    """Run the parts one after the other; their claims go to standard output as they come."""
    options = arguments(__doc__, _more)
    given = ["--quick"] if options.quick else []
    given += ["--repeats", str(options.repeats)] if options.repeats else []
    failed = []
    for part in options.only or PARTS:
        script = Path(__file__).with_name(f"training_{part}.py")
        print(f"training: {part} ...", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, str(script), *given], check=False).returncode:
            failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
