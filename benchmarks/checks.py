"""Checks of translations on pairs with labelled faults, beside the rules of Shisa's translation scripts on the same rows.

A row is flagged if any check says that it is not to be used (a finding of severity `hard`). Rows are split by document:
`dev` is what rules may be made by, `test` is scored and not looked at. Prints recall (share of the faulty rows that are
flagged) and false positives (share of the good rows that are), by class of fault, source and kind, and the CPU time a row.

    WATARI_TEST_DATA=... python benchmarks/checks.py [--quick] [--detail] [--misses CODE] [--half dev|test|all]

`--detail` prints tables to standard error; `--misses` the ids of dev rows that a class misses (`good`: flagged for nothing).
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from sides import arguments, one_thread, tell

one_thread()

from watari.synth.checks import catalogue  # noqa: E402
from watari.synth.checks.finding import Meta, Severity  # noqa: E402

Row = dict[str, Any]
PEER = "rules of AUGMXNT/shisa translate/ultraboros/shisa_utils.py, written anew (facts/seed-systems.md §1)"


@dataclass(frozen=True)
class Flags:
    """Codes of hard findings by row id, and the CPU seconds that all rows took."""

    codes: dict[str, list[str]]
    seconds: float


def rows_of(folder: Path, name: str, half: str, step: int) -> list[Row]:
    """Return the rows of a stored file; half: `dev`, `test` or `all`."""
    with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows[::step] if half in ("all", half_of(row))]


def half_of(row: Row) -> str:
    """Return `dev` or `test`, by the document that the row comes from."""
    return "dev" if xxhash.xxh3_64(row["doc"].encode()).intdigest() % 2 == 0 else "test"


def ours(rows: Iterable[Row]) -> Flags:
    """Return what our checks say."""

    def codes(row: Row) -> list[str]:
        meta = Meta(
            source="en",
            target="ja",
            kind=row.get("kind") or "",
            finish_reason=row.get("finish_reason") or "",
            free=bool(row.get("free")),
        )
        found = catalogue.run_checks(catalogue.turns(row["src"]), catalogue.turns(row["tgt"]), meta)
        return [finding.code for finding in found if finding.severity is Severity.HARD]

    return _timed(rows, codes)


def shisas(rows: Iterable[Row], *, tokens: bool = False) -> Flags:
    """Return what Shisa's rules say of each turn; a conversation with one bad turn is dropped.

    Args:
        rows: The rows.
        tokens: With the length ratio of its script for long entries too. That one counts tokens of cl100k, which needs a
            download; here a token is four Latin characters or one other, which is near it.
    """

    def codes(row: Row) -> list[str]:
        if len(row["src"]) != len(row["tgt"]):
            return ["turns"]
        found: list[str] = []
        for source, target in zip(row["src"], row["tgt"], strict=True):
            found += _shisa(source["content"], target["content"])
            if tokens:
                ratio = _tokens(target["content"]) / max(1.0, _tokens(source["content"]))
                found += ["token ratio"] if ratio < 0.5 or ratio >= 3.0 else []
        return found

    return _timed(rows, codes)


def _shisa(english: str, japanese: str) -> list[str]:
    found = []
    size = len(japanese.encode())
    if len(english) >= 100 and not 0.5 <= size / len(english) <= 2.7:
        found.append("length ratio")
    if "「日本」" in japanese or ("日本" in japanese and "japan" not in english.lower()):
        found.append("日本")
    if size and len(japanese) / size >= 0.9:
        found.append("untranslated")
    if "Please provide the text you want translated." in japanese:
        found.append("refusal")
    return found


def _tokens(text: str) -> float:
    plain = sum(char < "\u0100" for char in text)
    return plain / 4 + len(text) - plain


def _timed(rows: Iterable[Row], codes: Callable[[Row], list[str]]) -> Flags:
    began = time.process_time()
    found = {row["id"]: codes(row) for row in rows}
    return Flags(found, time.process_time() - began)


def share(flags: Flags, rows: list[Row]) -> float:
    """Return the share of rows that are flagged; 0 of none."""
    return sum(bool(flags.codes[row["id"]]) for row in rows) / max(1, len(rows))


def table(name: str, rows: list[Row], flags: Flags, peer: Flags, key: Callable[[Row], str]) -> None:
    """Print shares by a key to standard error, and what fires most."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    print(f"\n{name:28} rows   ours   peer  most codes", file=sys.stderr)
    for group, members in sorted(groups.items()):
        fired = Counter(code for row in members for code in set(flags.codes[row["id"]]))
        most = ", ".join(f"{code} {count}" for code, count in fired.most_common(4))
        print(
            f"{group:28} {len(members):4}  {share(flags, members):.3f}  {share(peer, members):.3f}  {most}",
            file=sys.stderr,
        )


def score(good: list[Row], bad: list[Row], half: str, *, detail: bool, misses: str | None) -> None:
    """Print the claims for one half."""
    mine, theirs = ours(good + bad), shisas(good + bad)
    longer = shisas(good + bad, tokens=True)
    if detail:
        table(f"good ({half})", good, mine, theirs, lambda row: str(row["source"]))
        table(f"good ({half})", good, mine, theirs, lambda row: str(row["kind"]))
        table(f"faulty ({half})", bad, mine, theirs, lambda row: str(row["fault"]))
        table(f"faulty ({half})", bad, mine, theirs, lambda row: "subtle" if row["hard"] else "plain")
    for row in good if misses == "good" else [row for row in bad if row["fault"] == misses]:
        if half == "dev" and bool(mine.codes[row["id"]]) == (misses == "good"):
            print(
                f"{row['id']}\t{mine.codes[row['id']]}\t{str(row.get('detail', ''))[:120]}", file=sys.stderr
            )
    sizes = f"{len(good)} good, {len(bad)} faulty rows, {half} documents"
    for name, peer in (("", theirs), (" + token ratio", longer)):
        tell(
            f"faulty translations found ({half}), beside Shisa's rules{name}",
            share(mine, bad), share(peer, bad), unit="recall", peer_name=PEER, sizes=sizes, less_is_better=False,
        )  # fmt: skip
        tell(
            f"good translations flagged ({half}), beside Shisa's rules{name}",
            share(mine, good), share(peer, good), unit="share", peer_name=PEER, sizes=sizes,
        )  # fmt: skip
    classes: dict[str, list[Row]] = defaultdict(list)
    for row in bad:
        classes[row["fault"]].append(row)
    if worst := sorted((share(mine, rows), name) for name, rows in classes.items() if name != "register_mix"):
        value, name = worst[0]
        tell(
            f"the class found least ({half}): {name}",
            value, share(theirs, classes[name]), unit="recall", peer_name=PEER,
            sizes=f"{len(classes[name])} rows", less_is_better=False,
        )  # fmt: skip


def speed(rows: list[Row]) -> None:
    """Print the CPU time a row for chat rows of about 1.5 KB."""
    if not rows:
        return
    ours(rows)
    mine = min(ours(rows).seconds for _ in range(3))
    peer = min(shisas(rows).seconds for _ in range(3))
    size = sum(len(t["content"].encode()) for row in rows for t in row["src"] + row["tgt"]) / len(rows)
    tell(
        "CPU time of all checks, chat rows", mine / len(rows) * 1e6, peer / len(rows) * 1e6, unit="µs/row",
        peer_name=PEER, sizes=f"{len(rows)} rows of {size:.0f} bytes with their source; {len(catalogue.CHECKS)} checks",
    )  # fmt: skip


def growth() -> None:
    """Print how the CPU time of all checks grows when a row of markup is four times as long: 4 is in step."""
    for attack in (
        "`a ",
        "{a} ",
        "[a](b) ",
        "1 ",
        "<a>",
        "**a ",
        "https://x.org/a ",
        "アイ ",
        "word. ",
        "- a\n\n",
    ):
        took = []
        for size in (10_000, 40_000):
            count = size // len(attack)
            sides = [
                catalogue.turns([{"role": "user", "content": text}])
                for text in (attack * count, attack * (count - 3) + "か")
            ]
            once = []
            for _ in range(5):
                began = time.process_time()
                catalogue.run_checks(*sides, catalogue.Meta())
                once.append(time.process_time() - began)
            took.append(min(once))
        print(
            f"growth {attack!r:20} 10,000 characters {took[0] * 1e3:.1f} ms, 40,000 {took[1] / took[0]:.1f} times"
        )


def routing(rows: list[Row]) -> None:
    """Print what the router takes for the instructions of chat rows; the issue asks for 50 µs."""
    from watari.synth.routing import route_text

    texts = [row["src"][0]["content"] for row in rows]
    route_text(texts[0])
    spent = []
    for _ in range(5):
        began = time.process_time()
        for text in texts:
            route_text(text)
        spent.append((time.process_time() - began) / len(texts))
    print(f"routing {len(texts)} prompts: median {sorted(spent)[2] * 1e6:.0f} µs a prompt")


def main() -> None:
    """Score both halves."""

    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--detail", action="store_true", help="tables by class, source and kind")
        parser.add_argument("--misses", metavar="CODE", help="ids of dev rows that are judged wrong")
        parser.add_argument("--half", choices=("dev", "test", "all"), help="only these documents")

        parser.add_argument(
            "--only",
            choices=("growth", "routing"),
            help="only the growth of time with length, or the router's time",
        )

    args = arguments(__doc__, more)
    if args.only == "growth":
        growth()
        return
    data = os.environ.get("WATARI_TEST_DATA")
    if not data:
        raise SystemExit("WATARI_TEST_DATA is not set: where is data/en-ja-pairs?")
    folder = Path(data) / "en-ja-pairs"
    step = 20 if args.quick else 1
    if args.only == "routing":
        routing([row for row in rows_of(folder, "pairs-good.jsonl.gz", "all", step) if row["kind"] == "chat"])
        return
    for half in (args.half,) if args.half else ("dev", "test"):
        good = rows_of(folder, "pairs-good.jsonl.gz", half, step)
        bad = rows_of(folder, "pairs-bad.jsonl.gz", half, step)
        score(good, bad, half, detail=args.detail, misses=args.misses)
    chat = [row for row in rows_of(folder, "pairs-good.jsonl.gz", "all", step) if row["kind"] == "chat"]
    routing(chat)
    speed([row for row in chat if 700 <= sum(len(t["content"]) for t in row["src"]) <= 2_000] or chat)


if __name__ == "__main__":
    main()
