"""All checks together, in this process and in others; processes that die."""

import asyncio
import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.synth.checks import catalogue, pool
from watari.synth.checks.finding import Check, Meta, Severity

SOURCE = [{"role": "user", "content": "See `a.b` at https://x.org/a in {name}."}]
GOOD = [{"role": "user", "content": "{name}の https://x.org/a にある `a.b` を見てください。"}]
BAD = [{"role": "user", "content": "それを見てください。"}]


def test_every_code_has_a_severity_and_one_owner():
    assert len(catalogue.CHECKS) >= 20
    owners = [code for check in catalogue.CHECKS for code in check.codes]
    assert set(owners) <= set(catalogue.codes())
    assert len(catalogue.VERSION) == 16
    assert all(code == code.lower() and " " not in code for code in owners)


def test_verdicts():
    meta = Meta()
    good = catalogue.run_checks(catalogue.turns(SOURCE), catalogue.turns(GOOD), meta)
    bad = catalogue.run_checks(catalogue.turns(SOURCE), catalogue.turns(BAD), meta)
    assert catalogue.accepted(good)
    assert not catalogue.accepted(bad)
    assert bad == sorted(bad, key=lambda one: one.severity is not Severity.HARD)
    assert catalogue.run_target_checks(catalogue.turns(GOOD), meta) == []


def test_a_check_that_fails_is_a_finding(monkeypatch):
    def broken(source, target, meta):
        raise ValueError("no good")

    monkeypatch.setattr(catalogue, "CHECKS", (Check("broken", 1, {"x": Severity.WARN}, broken),))
    (found,) = catalogue.run_checks(catalogue.turns(SOURCE), catalogue.turns(GOOD), Meta())
    assert (found.code, found.severity) == (catalogue.CRASHED, Severity.HARD)
    assert "broken" in found.message
    assert "no good" in found.message


WORDS = st.text(
    alphabet="`~ \n-#>|*[]()<>{}$\\:/abcあ漢字、。！「」０0123.,'\"%＜ｱ\u200b\ud7ff", max_size=120
)


@given(st.lists(WORDS, max_size=3), st.lists(WORDS, max_size=3), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_a_check(source, target, free):
    messages = [[{"role": "user", "content": text} for text in side] for side in (source, target)]
    found = catalogue.run_checks(*map(catalogue.turns, messages), Meta(free=free))
    assert [one.message for one in found if one.code == catalogue.CRASHED] == []
    known = catalogue.codes()
    for one in found:
        assert one.code in known
        if one.span is not None:
            side = target if one.span.side == "target" else source
            assert 0 <= one.span.start <= one.span.stop <= len(side[one.span.turn])


@pytest.mark.parametrize(
    "attack",
    ["`a ", "{a} ", "[a](b) ", "1 ", "<a>", "**a ", "https://x.org/a ", "アイ ", "word. ", "- a\n\n"],
)
def test_no_long_row_breaks_a_check(attack):
    """How its time grows with its length: ``benchmarks/checks.py --only growth``."""
    count = 40_000 // len(attack)
    source, target = (
        catalogue.turns([{"role": "user", "content": text}])
        for text in (attack * count, attack * (count - 3) + "か")
    )
    found = catalogue.run_checks(source, target, Meta())
    assert catalogue.CRASHED not in {one.code for one in found}


@pytest.mark.parametrize(
    "item", ["`a{}b` ", "https://x.org/a{} ", "{{a{}}} ", "<a{}> ", "{}. ", "word{} ", "アイ{} ", "[a](b{}) "]
)
def test_no_row_of_many_different_things_breaks_a_check(item):
    count = 4_000
    source, target = (
        catalogue.turns(
            [{"role": "user", "content": glue.join(item.replace("{}", str(n + more)) for n in range(count))}]
        )
        for glue, more in (("", 0), ("か", count))
    )
    found = catalogue.run_checks(source, target, Meta())
    assert catalogue.CRASHED not in {one.code for one in found}


def many(count):
    return [(SOURCE, GOOD if number % 3 else BAD) for number in range(count)]


async def verdicts(workers, rows):
    async with pool.CheckPool(workers, batch=4) as checks:
        found = await asyncio.gather(*(checks.check(source, target, Meta()) for source, target in rows))
        return found, checks.crashes


def test_a_pool_says_what_one_process_says():
    rows = many(40)
    alone, _ = asyncio.run(verdicts(0, rows))
    beside, crashes = asyncio.run(verdicts(2, rows))
    assert beside == alone
    assert crashes == 0


DEADLY = """
import os
from watari.synth.checks import pool
whole = pool.check_row
def check_row(request):
    if request.target[0]["content"] == "die":
        os._exit(9)
    return whole(request)
def check_rows(requests):
    return [check_row(one) for one in requests]
"""


def test_a_row_that_kills_its_process_is_told_and_the_others_are_not_lost(monkeypatch, tmp_path):
    (tmp_path / "deadly_rows.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    deadly_rows = importlib.import_module("deadly_rows")
    monkeypatch.setattr(pool, "check_rows", deadly_rows.check_rows)
    monkeypatch.setattr(pool, "check_row", deadly_rows.check_row)
    deadly = [{"role": "user", "content": "die"}]
    rows = [(SOURCE, GOOD), (SOURCE, deadly), (SOURCE, BAD)]
    found, crashes = asyncio.run(verdicts(1, rows))
    assert crashes == 1
    codes = [[one.code for one in findings] for findings in found]
    assert codes[1] == [catalogue.CRASHED]
    assert codes[0] == []
    assert codes[2] != []
    requests = [pool.CheckRequest(source, target, Meta()) for source, target in rows]
    in_order = [[one.code for one in findings] for _, findings in pool.check_all(requests, 2)]
    assert in_order == codes


def test_a_file_is_read_only_a_little_ahead():
    taken = 0

    def rows():
        nonlocal taken
        for source, target in many(20_000):
            taken += 1
            yield pool.CheckRequest(source, target, Meta())

    results = iter(pool.check_all(rows(), 2))
    next(results)
    assert taken < 2000
    results.close()
