"""What must come through a translation letter by letter is taken out of the text, and put back after it.

Code, addresses, placeholders, LaTeX and tags become ⟦1⟧, ⟦2⟧, ... The brackets (U+27E6, U+27E7) stand in no natural text
and in hardly any source, are no Markdown, no HTML, no template and no citation, and no normal form turns them into
something else: what comes back can be told from what the model wrote itself. Numbers run through the whole conversation, so
that a token in the wrong place is seen. Models that normalise brackets write 〚1〛 or full-width digits; that is read too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

OPEN, CLOSE = "⟦", "⟧"
CODE = "mask-lost"
"""What is counted where a token is missing, doubled, invented or in another message."""

Comments = Literal["keep", "translate"]

_FENCE = re.compile(
    r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n"
    r"(?P<body>.*?)(?:^[ \t>]*(?P=ticks)[`~]*[ \t]*$|\Z)",
    re.M | re.S,
)
_PROSE_INFO = frozenset({"", "text", "txt", "plain", "plaintext", "markdown", "md", "prompt"})
_CODE_LINE = re.compile(
    r"[{};=]|^\s*(?:[$>#%]|\w+\()|->|::|</?\w|\w\.\w+\(|^\s*(?:import|from|def|class|return)\b"
)
_PROSE_LINE = re.compile(r"(?:\b[a-z']{2,}\b[ ,;:]*){4,}")
_WORD = re.compile(r"[^\W\d_]")

_PATTERNS = (
    # Math: displays, then inline by pandoc's rule (no blank inside the dollars, no digit behind), which leaves prices alone.
    r"\$\$.+?\$\$",
    r"\\\[.+?\\\]",
    r"\\\(.+?\\\)",
    r"\\begin\{(?P<environment>[A-Za-z]+\*?)\}.*?\\end\{(?P=environment)\}",
    r"(?<![\w$\\])\$(?=[^\s$])(?:[^$\n\\]|\\.)*?[\\^_{}=+*/<>()|](?:[^$\n\\]|\\.)*?(?<=[^\s\\])\$(?![\w$])",
    r"(?<![\w$\\])\$[A-Za-z]\$(?![\w$])",
    # Inline code.
    r"(?<!`)(?P<ticks>`+)(?!`)[^\n]+?(?<!`)(?P=ticks)(?!`)",
    # Comments and tags of HTML and JSX, with their attributes; autolinks.
    r"<!--.*?-->",
    r"</?[A-Za-z][\w.:-]*(?:\s+[\w:@.-]+(?:\s*=\s*(?:\"[^\"\n]*\"|'[^'\n]*'|\{[^{}\n]*\}|[^\s>\"']+))?)*\s*/?>",
    # Targets of links and images that are no whole address: [text](target).
    r"(?<=\]\()[^()\s]+(?:\([^()\s]*\)[^()\s]*)*(?=[)\s])",
    # Addresses and mail.
    r"\b(?:https?|ftp)://[^\s<>\"'`|\\^{}\[\]（）「」『』【】、。，！？　]*[^\s<>\"'`|\\^{}\[\]（）「」『』【】、。，！？　.,;:!?)*_]",
    r"\b[\w.+-]+@[\w-]+\.[\w.-]*\w",
    # Placeholders: {{x}}, ${X}, {x}, %(x)s, %s, %1$d; anchors {#x}.
    r"\{\{[^{}\n]{1,80}\}\}",
    r"\$\{[^{}\n]{1,80}\}",
    r"\{[#\w.:!-]{1,60}\}",
    r"%\(\w+\)[#0 +-]?\d*(?:\.\d+)?[sdifrx]\b",
    r"%(?:\d+\$)?[sdfi]\b",
    # The marks of this module's own and the segments' form, where a source holds them.
    r"⟦[^⟦⟧\n]*⟧",
    r"\[\[[0-9０-９]+\]\]",
)
_MASKED = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS), re.S)
_QUICK = re.compile(r"[`<$\\{%@⟦]|://|\]\(|\[\[")
_OWN = re.compile(r"⟦[^⟦⟧\n]*⟧")
_TOKEN = re.compile(r"[⟦〚]\s*([0-9０-９]+)\s*[⟧〛]")
_STRAY = re.compile(r"[⟦⟧]")


@dataclass(slots=True)
class Masks:
    """What was taken out of a conversation: `texts[n - 1]` stands behind ⟦n⟧.

    Args:
        texts: In the order in which they stand in the conversation.
    """

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> str:
        """Take one out; return the token that stands for it."""
        self.texts.append(text)
        return f"{OPEN}{len(self.texts)}{CLOSE}"


def mask(content: str, masks: Masks, *, code: Comments = "keep") -> str:
    """Return `content` with everything that must not be translated as tokens.

    Args:
        content: A message.
        masks: What has been taken out of the conversation so far; grows.
        code: `keep`: code blocks are tokens, so that their comments and strings stay as they are; `translate`: they are sent
            along, and the checks see to it that only comments and strings change. A block without code in it (a prompt, a
            letter) is always sent along.
    """
    parts = []
    at = 0
    if "```" in content or "~~~" in content:
        for fence in _FENCE.finditer(content):
            parts.append(_masked(content[at : fence.start()], masks))
            if _is_prose(fence["info"], fence["body"]):
                body = fence.start("body"), fence.end("body")
                parts += [
                    content[fence.start() : body[0]],
                    _masked(fence["body"], masks),
                    content[body[1] : fence.end()],
                ]
            elif code == "translate":
                parts.append(_OWN.sub(lambda found: masks.add(found[0]), fence[0]))
            else:
                parts.append(masks.add(fence[0]))
            at = fence.end()
    parts.append(_masked(content[at:], masks))
    return "".join(parts)


def unmask(text: str, masks: Masks) -> str:
    """Return `text` with what stands behind every known token in its place; unknown tokens stay."""

    def behind(token: re.Match[str]) -> str:
        number = _number(token)
        return masks.texts[number - 1] if 1 <= number <= len(masks.texts) else token[0]

    return _TOKEN.sub(behind, text)


def tokens(text: str) -> Counter[int]:
    """Return how often each token stands in a text, by number."""
    return Counter(_number(token) for token in _TOKEN.finditer(text))


def faults(source: str, target: str, masks: Masks) -> list[str]:
    """Return what is wrong with the tokens of one translated text, a line each, none if all came through once each.

    Args:
        source: The text with tokens that was sent.
        target: The text that came back for it.
        masks: To say what a token stands for.
    """
    wanted, found = tokens(source), tokens(target)
    told = []
    for number in sorted(wanted.keys() | found.keys()):
        if found[number] == wanted[number]:
            continue
        token = f"{OPEN}{number}{CLOSE}"
        stands = f" ({_shown(masks.texts[number - 1])})" if 1 <= number <= len(masks.texts) else ""
        if not found[number]:
            told.append(f"the token {token}{stands} is missing")
        elif wanted[number]:
            told.append(f"the token {token}{stands} stands {found[number]} times instead of {wanted[number]}")
        elif stands:
            told.append(f"the token {token}{stands} does not belong to this segment")
        else:
            told.append(f"the token {token} was not in the source")
    if _STRAY.search(_TOKEN.sub("", target)) and not _STRAY.search(_TOKEN.sub("", source)):
        told.append("a broken ⟦ or ⟧ is left over")
    return told


def translatable(masked: str) -> bool:
    """True if letters are left in a text when its tokens are taken away."""
    return bool(_WORD.search(_TOKEN.sub("", masked)))


def _masked(text: str, masks: Masks) -> str:
    if not _QUICK.search(text):
        return text
    return _MASKED.sub(lambda found: masks.add(found[0]) if found[0] else "", text)


def _is_prose(info: str, body: str) -> bool:
    """Return whether a code block holds sentences, not code: it says no language, and most of its lines read so."""
    if info.split()[:1] and info.split()[0].lower() not in _PROSE_INFO:
        return False
    lines = [line for line in body.splitlines() if line.strip()]
    prose = sum(1 for line in lines if _PROSE_LINE.search(line) and not _CODE_LINE.search(line))
    code = sum(1 for line in lines if _CODE_LINE.search(line))
    return prose > 0 and prose >= len(lines) / 2 and code <= len(lines) / 10


def _number(token: re.Match[str]) -> int:
    return int(unicodedata.normalize("NFKC", token[1]))


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
