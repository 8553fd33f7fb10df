"""Run the benchmarks, each in a process of its own, and rewrite the table in docs/benchmarks.md (`make bench`).

Every benchmarks/bench_*.py, and adaptation.py, checks.py, corpus.py, endpoint.py, evals.py, leakage.py, sweep.py,
tokenizer.py and training.py,
measures us and a named peer on the same work in one run and prints a line of JSON a claim.
The rows of a script that was not run, or that failed, stay as they are; so does the page around the table.

Examples:
  python benchmarks/run.py                  all of them
  python benchmarks/run.py --only training  one; its rows alone change
  python benchmarks/run.py --quick          tiny sizes, to see that they work; the page stays as it is
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN = "<!-- table: written by benchmarks/run.py -->"
END = "<!-- end of table -->"
_GROUPS = ("adaptation", "checks", "corpus", "endpoint", "evals", "leakage", "sweep", "tokenizer", "training")
"""Scripts that are made of several, named after what they measure."""
KEYS = {"claim", "ours", "peer", "ratio", "unit", "peer_version", "sizes", "machine"}
HEADER = (
    "| script | claim | ours | peer | ratio | unit | peer is | sizes | machine |",
    "|---|---|--:|--:|--:|---|---|---|---|",
)

Claim = dict[str, Any]


class BenchmarkFailed(Exception):
    """A script that ended with an error, or printed something else than claims."""


def scripts() -> dict[str, Path]:
    """Return the scripts by name: `sft_step` for bench_sft_step.py, `tokenizer` for tokenizer.py."""
    found = [*HERE.glob("bench_*.py"), *(HERE / f"{name}.py" for name in _GROUPS)]
    return {script_name(path): path for path in sorted(found, key=script_name)}


def script_name(path: Path) -> str:
    """Return the name by which a script is called."""
    return path.stem.removeprefix("bench_")


def measure(path: Path, *, quick: bool) -> list[Claim]:
    """Run one script and return its claims.

    Raises:
        BenchmarkFailed: if it fails, prints no claim, or one with other keys than `KEYS`.
    """
    # The checkout that the script belongs to is what is measured, installed or not.
    sources = [str(HERE.parent / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, str(path), *(["--quick"] if quick else [])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"{path.name} ended with exit code {done.returncode}")
    claims = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not claims:
        raise BenchmarkFailed(f"{path.name} printed no claim")
    for claim in claims:
        if claim.keys() != KEYS:
            raise BenchmarkFailed(f"{path.name}: keys that differ: {sorted(claim.keys() ^ KEYS)}")
    return claims


def row(name: str, claim: Claim) -> str:
    """Return one line of the table; a ratio that would divide by zero is a dash."""
    ratio = "–" if claim["ratio"] is None else f"{claim['ratio']:g}×"
    cells = [f"`{name}`", claim["claim"], f"{claim['ours']:g}", f"{claim['peer']:g}", ratio]
    cells += [claim[key] for key in ("unit", "peer_version", "sizes", "machine")]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def with_table(page: str, measured: dict[str, list[Claim]], known: list[str]) -> str:
    """Return the page with the rows of `measured` in its table.

    Args:
        page: The page; everything outside the two markers is kept.
        measured: Claims by script.
        known: All scripts, in the order of the table; rows of others are dropped.

    Raises:
        BenchmarkFailed: if a marker is missing, stands twice, or they stand in the wrong order.
    """
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise BenchmarkFailed(f"the page must hold {BEGIN!r} and then {END!r}, once each")
    rows: list[str] = []
    for name in known:
        if name in measured:
            rows += [row(name, claim) for claim in measured[name]]
        else:
            rows += [line for line in table.splitlines() if line.startswith(f"| `{name}` |")]
    return "\n".join([before + begin, *HEADER, *rows, end]) + after


def main() -> int:
    """Run what the command line asks for; 1 if a script failed, 2 for a name that there is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the scripts' names and end")
    parser.add_argument("--only", action="append", metavar="NAME", help="run this script (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; the page is not written")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write (default: docs/benchmarks.md)")
    options = parser.parse_args()
    known = scripts()
    if options.list:
        print("\n".join(known))
        return 0
    chosen = [name.removesuffix(".py").removeprefix("bench_") for name in options.only or known]
    if unknown := [name for name in chosen if name not in known]:
        parser.error(f"no script named {unknown[0]!r}; known: {', '.join(known)}")
    measured: dict[str, list[Claim]] = {}
    failures = 0
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            measured[name] = measure(known[name], quick=options.quick)
        except BenchmarkFailed as failure:
            print(f"{name}: {failure}", file=sys.stderr)
            failures += 1
            continue
        for claim in measured[name]:
            print(json.dumps(claim, ensure_ascii=False), flush=True)
    if measured and not options.quick:
        try:
            page = with_table(options.page.read_text("utf-8"), measured, list(known))
        except (BenchmarkFailed, OSError) as failure:
            print(f"{options.page}: {failure}", file=sys.stderr)
            return 1
        options.page.write_text(page, "utf-8")
        print(f"written: {options.page}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
