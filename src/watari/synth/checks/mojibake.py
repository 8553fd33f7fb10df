"""Characters that came to harm: bytes read in the wrong character set, byte tokens, escapes, entities, controls."""

from __future__ import annotations

import re

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity
from watari.synth.checks.wording import clip, hard, warn

GARBLED = "mojibake"
BYTES = "byte-tokens"
ESCAPES = "escapes"
ENTITIES = "entities"
CONTROLS = "control-characters"
UNSEEN = "unseen-characters"

_CP1252 = "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2026\u2030\u2039\u203a\u20ac\u2122\ufffd"
# UTF-8 read as Windows-1252 or Latin-1: a lead byte as a letter, then continuation bytes as signs. One pair may be a word
# in capitals before a quotation mark; two are not.
_AS_LATIN = re.compile(
    rf"[\u00e0-\u00ef][{_CP1252}]{{2}}|[\u00c2-\u00df][{_CP1252}](?:[^\W\d_]{{0,3}}[\u00c2-\u00df][{_CP1252}])+|\u00e2\u20ac.|\u00c3[\u00a0-\u00bf]|\u00c2[\u00a0\u00a9\u00ab\u00ae\u00b0\u00b7\u00bb]"
)
# UTF-8 read as code page 932: 縺, 繧, 繝 are what kana begin with. As GBK: 鈥, 锛, 銆; as EUC or in reverse: runs of
# half-width kana.
_AS_JAPANESE = re.compile(
    r"縺[^\w\s]?|繧[^\w\s]|(?:[縺繧繝譁蜷荳][^\s]){2,}|[\uff61-\uff9f]{2,}[繝縺繧譁]|(?:[鍦銈銇鎴鏄锛銆鈥][^\s]){2,}|锟斤拷|烫烫烫|屯屯屯"
)
# What any of them begins with, or holds.
_SUSPECT = re.compile("[\u00c2-\u00df\u00e0-\u00ef縺繧繝譁蜷荷鍦銈銇鎴鏄锛銆鈥锟烫屯ÐÑР]")
_AS_CYRILLIC = re.compile(
    r"(?:[ÐÑ][\u0080-\u00bf\u0152-\u0178\u2013-\u203a]){2,}|(?:Р[А-Яа-яЂ-џ°±І-ґ]С[Ѓ-џ‚-›]){1,}"
)
_BYTES = re.compile(
    r"<0x[0-9A-Fa-f]{2}>|(?:\\x[89a-fA-F][0-9a-fA-F]){2,}|(?:%[89A-Fa-f][0-9A-Fa-f]){3,}|(?:=[89A-F][0-9A-F]){4,}"
)
_ESCAPES = re.compile(r"\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\u\{[0-9a-fA-F]{4,6}\}|U\+[0-9A-F]{4,5}(?=U\+)")
# Blanks are written so by people too.
_ENTITY = re.compile(r"&(?!nbsp;|ensp;|emsp;|thinsp;)(?:[a-zA-Z]{2,8}|#[0-9]{2,6}|#[xX][0-9a-fA-F]{2,5});")
_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\uf8ff\ud800-\udfff\ufffe\uffff\U000f0000-\U0010ffff]"
)
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")


def mojibake(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell of harmed characters that the source does not have."""
    found = []
    for number, turn in enumerate(target):
        text = turn.content
        mine = source[number].content if number < len(source) else ""
        if not text.isascii():
            if text.count("\ufffd") > mine.count("\ufffd"):
                start = text.index("\ufffd")
                message = (
                    f"turn {number + 1} has lost characters: {clip(text[max(0, start - 8) : start + 8])!r}"
                )
                found.append(hard(GARBLED, message, number, start, start + 1))
            if _SUSPECT.search(text) and (match := _misread(text, mine)):
                quoted = clip(text[match.start() : match.start() + 24])
                message = f"turn {number + 1} was read in a wrong character set: {quoted!r}"
                found.append(hard(GARBLED, message, number, *match.span()))
        if (match := _CONTROL.search(text)) and match[0] not in mine:
            message = f"turn {number + 1} holds a character that is none: U+{ord(match[0]):04X}"
            found.append(hard(CONTROLS, message, number, *match.span()))
        elif not text.isascii() and (match := _INVISIBLE.search(text)) and match[0] not in mine:
            message = f"turn {number + 1} holds an unseen character: U+{ord(match[0]):04X}"
            found.append(warn(UNSEEN, message, number, *match.span()))
        found += _written_out(text, mine, number)
    return found


def _misread(text: str, mine: str) -> re.Match[str] | None:
    for pattern in (_AS_LATIN, _AS_JAPANESE, _AS_CYRILLIC):
        match = pattern.search(text)
        if match and match[0] not in mine:
            return match
    return None


def _written_out(text: str, mine: str, number: int) -> list[Finding]:
    """Return what is told of characters written as tokens, escapes and entities."""
    found = []
    for sign, pattern, code, what in (
        ("<0x", _BYTES, BYTES, "bytes written out"),
        ("\\", _BYTES, BYTES, "bytes written out"),
        ("%", _BYTES, BYTES, "bytes written out"),
        ("\\", _ESCAPES, ESCAPES, "escapes in place of characters"),
        ("&", _ENTITY, ENTITIES, "entities in place of characters"),
    ):
        if sign not in text:
            continue
        matches = [match for match in pattern.finditer(text) if match[0] not in mine]
        if code == BYTES:
            # Addresses have their letters written so.
            matches = [match for match in matches if match[0][0] != "%" or "://" not in text]
        if matches and (code != ENTITIES or len(matches) > 2 or not pattern.search(mine)):
            match = matches[0]
            found.append(
                hard(code, f"turn {number + 1} has {what}: {clip(match[0])!r}", number, *match.span())
            )
    return found[:2]


CHECKS = (
    Check(
        "mojibake",
        1,
        {
            GARBLED: Severity.HARD,
            BYTES: Severity.HARD,
            ESCAPES: Severity.HARD,
            ENTITIES: Severity.HARD,
            CONTROLS: Severity.HARD,
            UNSEEN: Severity.WARN,
        },
        mojibake,
        needs_source=False,
    ),
)
