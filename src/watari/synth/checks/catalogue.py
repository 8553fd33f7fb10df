"""All checks: every module of this folder that has `CHECKS` is one more; nothing else is to be changed for a new one.

from watari.synth.checks.catalogue import accepted, run_checks, turns
findings = run_checks(turns(row["src"]), turns(row["tgt"]), Meta(source="en", target="ja", kind="chat"))
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module, resources
from typing import Any

import xxhash

from watari.synth import checks as _folder
from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.text import Turn

CRASHED = "check-crashed"
"""Code of a finding that says that a check failed, not its row; hard, for nobody knows what it would have said."""

UNREADABLE = "row-unreadable"
"""Code of a finding that says that a row of a file could not be read."""

_NOT_CHECKS = {"catalogue", "finding", "pool", "text", "wording"}


def _gathered() -> tuple[Check, ...]:
    found: list[Check] = []
    for module in sorted(pkgutil.iter_modules(_folder.__path__), key=lambda module: module.name):
        if module.name not in _NOT_CHECKS:
            made = getattr(import_module(f"{_folder.__name__}.{module.name}"), "CHECKS", ())
            found.extend(check for check in made if isinstance(check, Check))
    names = [check.name for check in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ImportError(f"two checks are named {', '.join(twice)}")
    return tuple(sorted(found, key=lambda check: check.name))


CHECKS: tuple[Check, ...] = _gathered()
"""Every check, by name."""


def _digest() -> str:
    digest = xxhash.xxh3_128()
    for check in CHECKS:
        digest.update(f"{check.name}\0{check.version}\0{sorted(check.codes.items())}\n".encode())
    # Phrases and limits are data: other words give other verdicts.
    for folder in ("checks", "lexicons"):
        entries = (resources.files("watari.languages") / folder).iterdir()
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".yaml"):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:16]


VERSION: str = _digest()
"""Changes when any check, or the words and limits it goes by, may judge a row otherwise."""


@cache
def codes() -> dict[str, Severity]:
    """Return every code that a check may tell, with the gravest severity that it is told with."""
    found: dict[str, Severity] = {CRASHED: Severity.HARD}
    for check in CHECKS:
        for code, severity in check.codes.items():
            if found.get(code) is not Severity.HARD:
                found[code] = severity
    return dict(sorted(found.items()))


def turns(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Return messages ({role, content}) as the checks take them; what is missing or null is empty."""
    return [Turn(str(one.get("role") or ""), str(one.get("content") or "")) for one in messages]


def run_checks(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Return what all checks find in a target that was made from a source.

    Args:
        source, target: Turns, from `turns`; they may be used again, what was taken apart is kept in them.
        meta: What else is known.

    Returns:
        The findings, hard ones first, then by code and place. A check that raises is itself one, `CRASHED`.
    """
    return _run(CHECKS, source, target, meta)


def run_target_checks(target: Conversation, meta: Meta) -> list[Finding]:
    """Return what those checks find that need no source: for answers that translate nothing."""
    return _run(tuple(check for check in CHECKS if not check.needs_source), (), target, meta)


def accepted(findings: Iterable[Finding]) -> bool:
    """Return whether the row may be used: no finding is hard."""
    return all(finding.severity is not Severity.HARD for finding in findings)


def crashed(what: str) -> Finding:
    """Return the finding that a check, or the process it ran in, failed at this row."""
    return Finding(CRASHED, Severity.HARD, what)


def _run(checks: tuple[Check, ...], source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    found: list[Finding] = []
    for check in checks:
        try:
            found += check.run(source, target, meta)
        except Exception as error:
            found.append(crashed(f"check {check.name} failed: {type(error).__name__}: {error}"[:300]))
    found.sort(key=_order)
    return found


def _order(finding: Finding) -> tuple[bool, str, int, int, str]:
    span = finding.span
    turn, start = (span.turn, span.start) if span else (-1, -1)
    return finding.severity is not Severity.HARD, finding.code, turn, start, finding.message
