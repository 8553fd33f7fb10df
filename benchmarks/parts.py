"""A benchmark that is made of several scripts: `corpus.py` runs `corpus_rules.py`, `corpus_minhash.py`, …"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from sides import arguments


def run_parts(group: str, parts: tuple[str, ...], about: str | None) -> int:
    """Run the parts of a group one after the other; their claims go to standard output as they come.

    Args:
        group: The beginning of the scripts' names.
        parts: Their rest, in order; `--only` chooses among them.
        about: The help of the command line.

    Returns:
        1 if a part failed, else 0.
    """

    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--only", action="append", choices=parts, help="run this part (may be repeated)")

    options = arguments(about, more)
    given = ["--quick"] if options.quick else []
    given += ["--repeats", str(options.repeats)] if options.repeats else []
    failed = []
    for part in options.only or parts:
        script = Path(__file__).with_name(f"{group}_{part}.py")
        print(f"{group}: {part} ...", file=sys.stderr, flush=True)
        if subprocess.run([sys.executable, str(script), *given], check=False).returncode:
            failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
