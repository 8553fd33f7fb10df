"""The proof sheet: 80 columns of plain text, counter-examples with a bar wherever a token ends."""

from __future__ import annotations

import unicodedata

from watari.tokenizer.verify.sheet import CounterExample, Result, Sheet

WIDTH = 80
_INDENT = 9
_LONG = 480
"""Columns of one segmentation that are shown; the rest is told by a mark."""
_MARKS = {True: "holds", False: "FAILS", None: "-"}


def render(sheet: Sheet) -> str:
    """Return the proof sheet, no line wider than 80 columns, East Asian characters counted as two."""
    lines = _wrapped(f"{sheet.base.name} -> {sheet.extended.name}", 0)
    size = f"vocabulary   {sheet.base.vocabulary:,} -> {sheet.extended.vocabulary:,} ({sheet.added:+,})"
    lines += _wrapped(
        size + (f", a multiple of {sheet.aligned[-1]}" if sheet.aligned else ", not aligned"), 13
    )
    if sheet.script is not None:
        lines += _wrapped(f"script       {sheet.script.language}, from {sheet.script_from}", 13)
        if sheet.script.shares:
            shares = ", ".join(sheet.script.shares)
            lines += _wrapped(
                f"outside      texts in {shares} hold {sheet.script.language} characters too: no promise for them",
                13,
            )
    asked = sheet.asked
    lines += _wrapped(
        f"asked        {asked.documents:,} documents ({asked.characters:,} characters), {asked.fuzz:,} fuzz strings "
        f"(seed {asked.seed}), {asked.reference_lines:,} lines for the reference",
        13,
    )
    if asked.documents:
        lines += _wrapped(f"used         {sheet.used:,} of {sheet.added:,} new tokens in these documents", 13)
    lines.append("")
    for result in sheet.results:
        lines += _result(result)
    failed = sheet.failed
    kept = sum(result.holds is True for result in sheet.results)
    unasked = sum(result.holds is None for result in sheet.results)
    lines.append("")
    lines += _wrapped(
        f"{kept} hold, {len(failed)} fail, {unasked} cannot be asked"
        + (f": {', '.join(failed)}" if failed else ""),
        0,
    )
    return "\n".join(lines) + "\n"


def _result(result: Result) -> list[str]:
    count = ""
    if result.holds is False:
        count = f" ({result.failures:,} of {result.cases:,})" if result.cases else ""
    elif result.holds:
        count = f" ({result.cases:,})"
    law = f" [{result.law}]" if result.law else ""
    lines = _wrapped(f"{_MARKS[result.holds]:<9}{result.name}{law}: {result.title}{count}", _INDENT)
    if result.note:
        lines += _wrapped(" " * _INDENT + result.note, _INDENT)
    if result.counter_example is not None:
        lines += _example(result.counter_example)
    return lines


def _example(example: CounterExample) -> list[str]:
    found = f" in {example.found_in}" if example.found_in else ""
    lines = _wrapped(
        f"{' ' * _INDENT}e.g. {_visible(example.text)!s}{found}, at {example.position}", _INDENT + 5
    )
    names = [_visible(name) for name in example.sides]
    pad = min(max(map(len, names)), 24)
    for name, tokens in zip(names, (example.base, example.extended), strict=True):
        shown = "|".join(map(_visible, tokens)) if tokens else "(nothing)"
        lines += _wrapped(f"{' ' * _INDENT}  {name:<{pad}} {shown}", _INDENT + pad + 3)
    return lines


def _visible(text: str) -> str:
    """Return text with blanks and everything that does not show written out."""
    found = []
    for character in text:
        if character == " ":
            found.append("␣")
        elif character == "|":
            found.append("¦")
        elif unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Co", "Cn", "Cs", "Mn", "Me"):
            found.append(character.encode("unicode_escape").decode("ascii"))
        else:
            found.append(character)
    return "".join(found)


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _wrapped(text: str, indent: int) -> list[str]:
    """Return `text` in lines of at most 80 columns, at a blank where there is one, the later lines indented."""
    lines: list[str] = []
    line, width, blank = "", 0, -1
    shown = 0
    for character in text:
        shown += _columns(character)
        if shown > _LONG + indent:
            line += " …"
            break
        if width + _columns(character) > WIDTH - 2:
            cut = blank if blank > indent else len(line)
            lines.append(line[:cut].rstrip())
            line = " " * indent + line[cut:].lstrip()
            width = sum(map(_columns, line))
            blank = -1
        line += character
        width += _columns(character)
        if character == " " and line.strip():
            blank = len(line)
    return [*lines, line.rstrip()]
