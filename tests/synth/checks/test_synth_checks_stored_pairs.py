"""The bars on the stored pairs: recall, false positives, and no class of faults that goes unseen."""

import gzip
import json
from collections import defaultdict

import pytest

from watari.synth.checks import catalogue
from watari.synth.checks.finding import Meta


def refused(folder, name):
    """Return rows and whether each is refused."""
    with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            meta = Meta(
                kind=row["kind"], finish_reason=row.get("finish_reason") or "", free=bool(row.get("free"))
            )
            found = catalogue.run_checks(catalogue.turns(row["src"]), catalogue.turns(row["tgt"]), meta)
            assert all(finding.code != catalogue.CRASHED for finding in found)
            yield row, not catalogue.accepted(found)


@pytest.fixture(scope="module")
def pairs(test_data):
    return test_data / "en-ja-pairs"


def test_good_rows_pass(pairs):
    rows = list(refused(pairs, "pairs-good.jsonl.gz"))
    assert sum(no for _, no in rows) <= 0.03 * len(rows)
    code = [no for row, no in rows if row["source"] == "vuejs-docs" and "```" in row["src"][0]["content"]]
    assert sum(code) <= 0.03 * len(code)


def test_faulty_rows_are_refused(pairs):
    classes = defaultdict(list)
    for row, no in refused(pairs, "pairs-bad.jsonl.gz"):
        classes[row["fault"]].append(no)
    every = [no for rows in classes.values() for no in rows]
    assert sum(every) >= 0.93 * len(every)
    weak = {name for name, rows in classes.items() if sum(rows) < 0.8 * len(rows)}
    assert weak <= {"register_mix"}
