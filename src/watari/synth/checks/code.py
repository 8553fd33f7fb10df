"""Code blocks: as many as in the source, and the same code in them, whatever language its comments and texts are in.

Translators rightly translate comments, strings and the text between tags; byte for byte equal code would refuse nearly
half of good documentation (facts/synthetic.md §2). So what is compared is the skeleton: the code without those.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from watari.synth.checks.finding import Check, Conversation, Finding, Meta, Severity, Span
from watari.synth.checks.text import Piece, Turn

CHANGED = "code-changed"
COUNT = "code-block-count"

_HASH = frozenset(
    [
        "bash",
        "sh",
        "shell",
        "zsh",
        "fish",
        "console",
        "shell-session",
        "powershell",
        "ps1",
        "python",
        "py",
        "pycon",
        "ipython",
        "ruby",
        "rb",
        "perl",
        "r",
        "julia",
        "yaml",
        "yml",
        "toml",
        "ini",
        "conf",
        "dockerfile",
        "docker",
        "makefile",
        "make",
        "cmake",
        "elixir",
        "nix",
        "graphql",
        "awk",
        "tcl",
        "properties",
        "env",
        "gitignore",
    ]
)
_MARKUP = frozenset(
    [
        "html",
        "xml",
        "svg",
        "vue",
        "vue-html",
        "svelte",
        "astro",
        "jsx",
        "tsx",
        "js",
        "ts",
        "javascript",
        "typescript",
        "mdx",
        "php",
        "erb",
    ]
)
_PROSE = frozenset(["text", "txt", "plain", "plaintext", "md", "markdown", "none", "output", "prompt"])
_DASH = frozenset(["sql", "lua", "haskell", "hs", "ada", "elm", "vhdl"])

_COMMON = (
    r'"""[\s\S]*?(?:"""|\Z)|\'\'\'[\s\S]*?(?:\'\'\'|\Z)'
    r"|\{\s*/\*[\s\S]*?(?:\*/\s*\}|\Z)|/\*[\s\S]*?(?:\*/|\Z)|<!--[\s\S]*?(?:-->|\Z)"
    r"|(?<![A-Za-z0-9_])[rbfuRBFU]{0,2}\"(?:[^\"\\\n]|\\.)*\"|(?<![A-Za-z0-9_])[rbfuRBFU]{0,2}'(?:[^'\\\n]|\\.)*'"
    r"|`(?:[^`\\]|\\[\s\S])*(?:`|\Z)"
)
_SLASH_RULE = re.compile(rf"{_COMMON}|(?<!:)//[^\n]*")
_HASH_RULE = re.compile(rf"{_COMMON}|(?:(?<=\s)|^)\#[^\n]*", re.M)
_DASH_RULE = re.compile(rf"{_COMMON}|--[^\n]*")
_ANY_RULE = re.compile(rf"{_COMMON}|(?<!:)//[^\n]*|(?:(?<=\s)|^)\#\s[^\n]*", re.M)
_TEXT = re.compile(r"(?<![=-])>[^<>{}=;]*(?=[<{])|\}[^<>{}=;\n]*(?=<)")
_TEXT_LINE = re.compile(r"^[ \t]*(?:[^\W\d_][^{}()<>=;\[\]$|\\\"]*|[^\x00-\x7f][^{}<>=;]*)$", re.M)
_TOKEN = re.compile(r"\w+|[^\w\s]")
_CODE_MARK = re.compile(r"[{}()<>=;\[\]$|\\_/+*&%@`~^#]")
_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
_PATH = re.compile(r"(?=[^/.@_]*[/.@_][\w])[@./\w-]+", re.A)
_MODULE = re.compile(r"\b(?:from|import|require)\s*\(?\s*$")
_BOUND = re.compile(r"(?:[@:#]|\bv-)[\w.:\[\]-]*=$")
_SPACE = re.compile(r"\s")
_SHOWN = re.compile(r"\b(?:out|output|text|txt|console|plain|plaintext|log)\b", re.I)
_STRINGS = re.compile(r'""(?:\s*,\s*"")+')
_CALL = re.compile(r"[\w.]\(|\b(?:import|export|const|return)\b", re.A)
_DIGITS = re.compile(r"\d+(?:\.\d+)*")
_INFO_MARKS = re.compile(r"[\w.:/-]+|[\"'“”‘’\[\]{}]", re.A)
_HIRAGANA = re.compile(r"[ぁ-ん]")
_LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z'’]*[,.:;?!]?(?=\s|$)")
_INFO_WORD = re.compile(r"[A-Za-z][\w+#.-]*")


def code(source: Conversation, target: Conversation, meta: Meta) -> list[Finding]:
    """Tell where code blocks are missing, too many, or hold other code."""
    found: list[Finding] = []
    for number, (one, other) in enumerate(zip(source, target, strict=False)):
        if one.fences or other.fences:
            found += _compare(one, other, number)
    return found


def _compare(one: Turn, other: Turn, number: int) -> Iterator[Finding]:
    sources, targets = one.fences, other.fences
    if len(sources) != len(targets):
        message = f"{len(targets)} code blocks for the source's {len(sources)}"
        yield Finding(COUNT, Severity.HARD, message, None)
        return
    for source, target in zip(sources, targets, strict=True):
        if said := difference(source, target):
            # What a program says of other words is other numbers.
            shown = _SHOWN.search(source.info) is not None and not target.text.isascii()
            severity = Severity.WARN if shown else Severity.HARD
            yield Finding(CHANGED, severity, said, Span(number, target.start, target.stop))


def difference(source: Piece, target: Piece) -> str:
    """Return what differs between two code blocks in a few words; empty if only their texts do."""
    if source.closed and not target.closed:
        return "the code block is not closed"
    language = _language(source.info)
    if language != _language(target.info):
        return f"the code block's language is '{target.info[:30]}', not '{source.info[:30]}'"
    if _infos_differ(source.info, target.info):
        return f"the code block's marks are '{target.info[:40]}', not '{source.info[:40]}'"
    if source.text == target.text:
        return ""
    if is_prose(source, told_in=target.text) and not target.text.isascii():
        return _prose_difference(source.text, target.text)
    if _same(source.text, target.text, language) or _listed(source.text, target.text, language):
        return _numbers_difference(source.text, target.text)
    return _first_difference(_lines(source.text, language), _lines(target.text, language))


def is_prose(fence: Piece, told_in: str = "") -> bool:
    """Return whether a block holds text, such as a prompt, and no code.

    Args:
        fence: The source's block.
        told_in: The target's; one that is mostly sentences of Japanese says that the source is text.
    """
    language = _language(fence.info)
    if language and language not in _PROSE:
        return False
    text = fence.text
    lines = sum(bool(line.strip()) for line in text.split("\n"))
    words = len(_LATIN_WORD.findall(text))
    sentences = len(_HIRAGANA.findall(told_in)) >= 0.15 * len(told_in) > 0
    marks, least = (0.08, 2.5) if sentences else (0.03, 4)
    return len(_CODE_MARK.findall(text)) <= marks * len(text) and words >= least * lines


def skeleton(text: str, language: str) -> str:
    """Return code without comments, with `""` for each string, without the text between tags."""
    text = text.replace("\r\n", "\n")
    if language in _HASH:
        rule = _HASH_RULE
    elif language in _DASH:
        rule = _DASH_RULE
    elif not language or language in _PROSE:
        rule = _ANY_RULE
    else:
        rule = _SLASH_RULE
    stripped = rule.sub(_without_words, text)
    if not language or language in _PROSE or language in _MARKUP:
        stripped = _TEXT.sub(_without_text, stripped)
    return stripped


def _without_words(match: re.Match[str]) -> str:
    text = match[0]
    first = text.lstrip("rbfuRBFU")[:1]
    if first == "`":
        # What is put into a template is code.
        return "``" + "".join(f"${{{inner}}}" for inner in _EXPRESSION.findall(text))
    if first in "\"'" and not text.startswith(('"""', "'''")):
        return f'"{_kept_of_string(match)}"'
    return ""


def _kept_of_string(match: re.Match[str]) -> str:
    """Return what of a string is code: a path, a module's name, the expression of a template's attribute."""
    inner = match[0].lstrip("rbfuRBFU")[1:-1]
    before = match.string[max(0, match.start() - 40) : match.start()]
    if _PATH.fullmatch(inner) or (_MODULE.search(before) and not _SPACE.search(inner)):
        return inner
    if _BOUND.search(before):
        return _SLASH_RULE.sub(_without_words, inner) if "'" in inner or "`" in inner else inner
    return ""


def _without_text(match: re.Match[str]) -> str:
    return match[0] if _CALL.search(match[0]) else match[0][0]


@lru_cache(maxsize=64)
def _tokens(text: str, language: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(skeleton(text, language)))


def _same(source: str, target: str, language: str) -> bool:
    if _tokens(source, language) != _tokens(target, language):
        if language and language not in _MARKUP and language not in _PROSE:
            return False
        # Lines of nothing but words are the text of a page.
        bare = [_TEXT_LINE.sub("", skeleton(text, language)) for text in (source, target)]
        if _TOKEN.findall(bare[0]) != _TOKEN.findall(bare[1]):
            return False
    return _indents_alike(source, target)


def _listed(source: str, target: str, language: str) -> bool:
    """Return whether all that differs is how many translated strings a list has: examples of another language."""
    if target.isascii() or not any(char > "\u2fff" for char in set(target).difference(source)):
        return False
    one, other = (_STRINGS.sub('""', skeleton(text, language)) for text in (source, target))
    return _TOKEN.findall(one) == _TOKEN.findall(other) and _indents_alike(source, target)


def _indents_alike(source: str, target: str) -> bool:
    mine, theirs = _indents(source), _indents(target)
    deep, kept = sum(map(bool, mine)), sum(map(bool, theirs))
    return not deep or kept >= 0.5 * deep


def _indents(text: str) -> list[int]:
    lines = [line for line in text.expandtabs(4).split("\n") if line.strip()]
    depths = [len(line) - len(line.lstrip(" ")) for line in lines]
    least = min(depths, default=0)
    return [depth - least for depth in depths]


def _lines(text: str, language: str) -> list[str]:
    return [squeezed for line in skeleton(text, language).split("\n") if (squeezed := " ".join(line.split()))]


def _first_difference(source: Iterable[str], target: Iterable[str]) -> str:
    mine, theirs = list(source), list(target)
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            return f"the code differs: '{other[:60]}' for '{one[:60]}'"
    if len(mine) > len(theirs):
        return f"a line of the code is missing: '{mine[len(theirs)][:60]}'"
    if len(theirs) > len(mine):
        return f"a line of the code is new: '{theirs[len(mine)][:60]}'"
    return "the code's indentation is lost"


def _prose_difference(source: str, target: str) -> str:
    mine = sum(bool(line.strip()) for line in source.split("\n"))
    theirs = sum(bool(line.strip()) for line in target.split("\n"))
    if abs(mine - theirs) > max(2, 0.5 * mine):
        return f"the block has {theirs} lines for the source's {mine}"
    return ""


def _infos_differ(source: str, target: str) -> bool:
    """Return whether what stands after the language differs beyond words: lines to be marked, file names."""
    return source != target and _INFO_MARKS.findall(source) != _INFO_MARKS.findall(target)


def _numbers_difference(source: str, target: str) -> str:
    """Return which number of a comment or string was exchanged for another, if one was."""
    mine, theirs = (
        Counter(_DIGITS.findall(unicodedata.normalize("NFKC", text))) for text in (source, target)
    )
    lost, new = mine - theirs, theirs - mine
    if lost and new:
        return f"a number in the code differs: {next(iter(new))} for {next(iter(lost))}"
    return ""


def _language(info: str) -> str:
    match = _INFO_WORD.match(info)
    return match[0].lower() if match else ""


CHECKS = (Check("code", 2, {CHANGED: Severity.HARD, COUNT: Severity.HARD}, code),)
