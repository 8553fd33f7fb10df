"""How a string without blanks is split in words, in languages with spaces.

The rules are those of spaCy's rule-based tokenizer (its English ones are datatrove's English words): punctuation is taken
off both ends a mark at a time, what is left is split at infixes (an ellipsis, a hyphen or slash between letters, ...),
and some strings (abbreviations, contractions, emoticons) are split as listed. A language's list is the file
`words_<code>.yaml` beside this module; a language without one has the list for all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

# Letters: ranges of scripts with two cases (Latin, Greek, Cyrillic), and those of scripts with one.
_CASED = (
    "41-5A 61-7A C0-D6 D8-F6 F8-1BF 1C4-2AF 386 388-38A 38C 38E-38F 391-3A9 3AC-3AF 3B1-3C9 3CC-3CE 400-401 403-40A "
    "40C-40D 410-451 453-45A 45C-45D 490-491 496-497 4A2-4A3 4AE-4AF 4BA-4BB 4D8-4D9 4E8-4E9 1D00-1D25 1D6B-1D77 "
    "1D79-1D9A 1E00-1EFF 2C60-2C7B 2C7E-2C7F A722-A76F A771-A787 A78B-A78E A790-A7B9 A7FA AB30-AB5A AB60-AB64 "
    "FF21-FF3A FF41-FF5A"
)
_UNCASED = (
    "591-5F4 620-64A 66E-6D5 6E5-6FF 750-77F 8A0-8BD 900-9FF B80-CFF D80-DFF 1100-137F 2E80-2FDF 2FF0-30FF 31C0-31EF "
    "3200-4DBF 4E00-9FFF AC00-D7AF F900-FAFF FB1D-FBB1 FBD3-FD3D FD50-FDC7 FDF0-FDFB FE30-FE4F FE70-FEFC 1EE00-1EEBB "
    "1F200-1F2FF 20000-2A6DF 2A700-2EBEF 2F800-2FA1F"
)
_MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
_QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
_CURRENCY = "£€¥฿₠-₿﷼"
_DIGITS = frozenset("0123456789")
UNITS = (
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa "
    "mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа Па "
    "мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тб"
)
_LONGEST = 1_000
"""Characters of the longest string that is split whole; a longer one is cut into parts of as many."""


def _ranges(text: str) -> list[tuple[int, int]]:
    pairs = (item.partition("-") for item in text.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in pairs]


def _set(ranges: list[tuple[int, int]]) -> str:
    """Ranges as the inside of a set of a regular expression."""
    return "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in ranges)


def _of_category(category: str, ranges: list[tuple[int, int]]) -> str:
    codes = (code for first, last in ranges for code in range(first, last + 1))
    return _set(_joined(code for code in codes if unicodedata.category(chr(code)) == category))


def _joined(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Code points as ranges: a set of single ones beyond U+FFFF is searched one by one."""
    ranges: list[tuple[int, int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges


@dataclass(frozen=True)
class _Affixes:
    """What is taken off strings, and where they are split.

    Args:
        heads, tails: Characters that are a prefix (a suffix) of their own.
        tail: Other suffixes, but for runs of full stops: found from the left, so the longest.
        inside: The characters that begin what `infix` finds.
        infix: Where the inside is split.
        address, address_at: What is no word to split: an address of the net, without and with a user's name.
    """

    heads: frozenset[str]
    tails: frozenset[str]
    tail: re.Pattern[str]
    inside: frozenset[str]
    infix: re.Pattern[str]
    address: re.Pattern[str]
    address_at: re.Pattern[str]

    def prefix(self, text: str) -> int:
        """Return the length of the prefix of a string; 0 if it has none."""
        first = text[0]
        if first in self.heads:
            return 1
        if first == ".":
            dots = len(text) - len(text.lstrip("."))
            return dots if dots > 1 else 0
        if first == "+":
            return 0 if text[1:2] in _DIGITS else 1
        return 2 if text.startswith(("C$", "A$")) else 3 if text.startswith("US$") else 0

    def suffix(self, text: str) -> int:
        """Return the length of the suffix of a string; 0 if it has none."""
        if not text:
            return 0
        last = text[-1]
        if last in self.tails:
            return 2 if text.endswith("……") else 1
        if last == ".":
            dots = len(text) - len(text.rstrip("."))
            if dots > 1:
                return dots
        elif last.isalpha() and text[-2:-1] not in ("'", "’") and _DIGITS.isdisjoint(text[-6:-1]):
            # Neither a genitive nor a unit behind a number.
            return 0
        found = self.tail.search(text, max(0, len(text) - 6))
        return found.end() - found.start() if found else 0


@cache
def _affixes(hyphen_after_digit: bool) -> _Affixes:
    """The patterns; `hyphen_after_digit`: whether a hyphen between a digit and a letter splits."""
    lone = _set(_ranges(_UNCASED))
    lower, upper = (_of_category(category, _ranges(_CASED)) + lone for category in ("Ll", "Lu"))
    letter = _set(_ranges(_CASED)) + lone
    icons = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "So"]
    icon = _set(_joined(map(ord, icons)))
    marks, quotes = re.escape(_MARKS), re.escape(_QUOTES)
    tail = "|".join(
        (
            r"['’][sS]",
            r"(?<=[0-9])\+",
            r"(?<=°[FfCcKk])\.",
            rf"(?<=[0-9])(?:(?:US|C|A)?\$|[{_CURRENCY}])",
            rf"(?<=[0-9])(?:{'|'.join(map(re.escape, UNITS.split()))})",
            rf"(?<=[0-9{lower}%²\-+|{marks}{quotes}])\.",
            rf"(?<=[{upper}][{upper}])\.",
        )
    )
    digit = "0-9" if hyphen_after_digit else ""
    infix = "|".join(
        (
            rf"\.\.+|…|[{icon}]",
            r"(?<=[0-9])[+\-*^](?=[0-9-])",
            rf"(?<=[{lower}{quotes}])\.(?=[{upper}{quotes}])",
            rf"(?<=[{letter}]),(?=[{letter}])",
            rf"(?<=[{letter}{digit}])(?:-|–|—|--|---|——|~)(?=[{letter}])",
            rf"(?<=[{letter}0-9])[:<>=/](?=[{letter}])",
        )
    )
    currency = {"$", *(chr(code) for code in range(0x20A0, 0x20C0)), *"£€¥฿﷼"}
    return _Affixes(
        heads=frozenset((*"§%=—–", *_MARKS, *_QUOTES, *currency, *icons)),
        tails=frozenset((*"—–", *_MARKS, *_QUOTES, *icons)),
        tail=re.compile(f"(?:{tail})$"),
        inside=frozenset((*".…+-*^,–—~:<>=/", *icons)),
        infix=re.compile(rf"(?=[.…+\-*\^,–—~:<>=/{icon}])(?:{infix})"),
        address=re.compile(_address("", lower)),
        address_at=re.compile(_address(r"(?:\S+(?::\S*)?@)?", lower)),
    )


def _address(user: str, lower: str) -> str:
    """An address: a scheme, a user's name, a number outside the private networks or a name, a port, a path."""
    host = r"A-Za-z0-9\u00A1-\uFFFF"
    private = "".join(
        rf"(?!{network})"
        for network in (
            r"(?:10|127)(?:\.\d{1,3}){3}",
            r"(?:169\.254|192\.168)(?:\.\d{1,3}){2}",
            r"172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2}",
        )
    )
    inner = r"(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}"
    number = rf"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3]){inner}\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])"
    name = rf"(?:(?:[{host}][{host}_-]{{0,62}})?[{host}]\.)+[{lower}]{{2,63}}"
    return r"(?:[\w+\-.]{2,}://)?" + user + rf"(?:{private}{number}|{name})" + r"(?::\d{2,5})?(?:[/?#]\S*)?$"


@dataclass(frozen=True)
class Listed:
    """Strings that are split as listed.

    Args:
        strings: To the lengths of their words.
        affixes: How others are split.
        rows: Those that punctuation would split otherwise, as the words that it would make of them: they are put
            together again wherever such words follow each other. By their first words.
    """

    strings: dict[str, tuple[int, ...]]
    affixes: _Affixes
    rows: dict[str, list[tuple[str, ...]]]


def _file(name: str) -> dict[str, Any] | None:
    import yaml

    entry = resources.files(__package__) / name
    return dict(yaml.safe_load(entry.read_text("utf-8"))) if entry.is_file() else None


@cache
def listed(language: str) -> Listed:
    parted: list[list[str]] = []
    after_digit = False
    for content in (_file("words_any.yaml"), _file(f"words_{language}.yaml")):
        if content is None:
            continue
        after_digit = after_digit or bool(content.get("hyphen_after_digit"))
        never = set(content.get("never", []))
        parted += [[text] for text in content.get("whole", [])]
        parted += [text.split() for text in content.get("parted", [])]
        for group in content.get("contractions", []):
            for head in group["heads"]:
                for start in (head, head.title()):
                    for tail in group["tails"]:
                        for text in (f"{start} {tail}", f"{start} {tail}".replace("'", "")):
                            if text.replace(" ", "") not in never:
                                parted.append(text.split())
    strings = {}
    for parts in parted:
        for mark in "'’":
            written = [part.replace("'", mark) for part in parts]
            strings["".join(written)] = tuple(len(part) for part in written)
    affixes = _affixes(after_digit)
    rows: dict[str, list[tuple[str, ...]]] = {}
    for text in strings:
        if affixes.prefix(text) or affixes.suffix(text) or affixes.infix.search(text):
            row = tuple(_cut(text, _split(text, affixes, {})))
            rows.setdefault(row[0], []).append(row)
    return Listed(strings, affixes, rows)


def _cut(text: str, lengths: list[int]) -> list[str]:
    parts, start = [], 0
    for length in lengths:
        parts.append(text[start : start + length])
        start += length
    return parts


def _split(text: str, affixes: _Affixes, strings: dict[str, tuple[int, ...]]) -> list[int]:
    """Return the lengths of the words of a string without blanks."""
    before: list[int] = []
    behind: list[int] = []
    while text and text not in strings:
        head = affixes.prefix(text)
        if head and text[head:] in strings:
            before.append(head)
            text = text[head:]
            break
        tail = affixes.suffix(text[head:])
        if tail and text[:-tail] in strings:
            behind.append(tail)
            text = text[:-tail]
            break
        if not head and not tail:
            break
        if head:
            before.append(head)
        if tail:
            behind.append(tail)
        text = text[head : len(text) - tail]
    if text in strings:
        before.extend(strings[text])
    elif text.isalpha() or affixes.inside.isdisjoint(text) or _is_address(text, affixes):
        before.append(len(text))
    elif text:
        done = 0
        for match in affixes.infix.finditer(text):
            if match.start() == 0:
                continue
            before.extend((match.start() - done, len(match[0])))
            done = match.end()
        before.append(len(text) - done)
    return [length for length in (*before, *reversed(behind)) if length]


def _is_address(text: str, affixes: _Affixes) -> bool:
    if "." not in text:
        return False
    return (affixes.address_at if "@" in text else affixes.address).match(text) is not None


def split(text: str, language: str) -> tuple[int, ...]:
    """Return the lengths of the words of a string without blanks; their sum is the string's."""
    if len(text) > _LONGEST:
        return tuple(
            length
            for start in range(0, len(text), _LONGEST)
            for length in split(text[start : start + _LONGEST], language)
        )
    known = listed(language)
    lengths = _split(text, known.affixes, known.strings)
    if len(lengths) < 2:
        return tuple(lengths)
    parts = _cut(text, lengths)
    matches = [
        (len(row), start)
        for start, part in enumerate(parts)
        if part in known.rows
        for row in known.rows[part]
        if tuple(parts[start : start + len(row)]) == row
    ]
    return tuple(_rejoined(lengths, parts, matches, known) if matches else lengths)


def _rejoined(
    lengths: list[int], parts: list[str], matches: list[tuple[int, int]], listed: Listed
) -> list[int]:
    """Put rows of words together again: the longest first, of several as long the first one."""
    taken: set[int] = set()
    chosen: dict[int, int] = {}
    for size, start in sorted(matches, key=lambda match: (-match[0], match[1])):
        if start not in taken and start + size - 1 not in taken:
            chosen[start] = size
        taken.update(range(start, start + size))
    found: list[int] = []
    place = 0
    while place < len(parts):
        size = chosen.get(place, 0)
        if size:
            found.extend(listed.strings["".join(parts[place : place + size])])
        else:
            found.append(lengths[place])
        place += size or 1
    return found
