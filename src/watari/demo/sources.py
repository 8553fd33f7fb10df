"""The little world by URL: `demo://documents?language=en&count=2000&split=train`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from watari.demo.dialogue import conversations
from watari.demo.documents import allowed, documents, parallel
from watari.demo.facts import LANGUAGES, SPLITS
from watari.demo.level import LEVELS
from watari.demo.preferences import preferences
from watari.demo.questions import questions

SCHEME: Final = "demo"
DEFAULT_COUNT: Final = 1000


@dataclass(frozen=True)
class Resource:
    """What a URL may name: the row type it gives and the parameters it takes."""

    rows: str
    takes: tuple[str, ...]
    split: str = "train"


RESOURCES: Final[dict[str, Resource]] = {
    "documents": Resource("documents", ("language", "count", "split", "level")),
    "parallel": Resource("documents", ("count", "split", "level")),
    "conversations": Resource("conversations", ("language", "count", "split", "level")),
    "preferences": Resource("preferences", ("language", "count", "level")),
    "questions": Resource("questions", ("language", "count", "split", "level"), "test"),
}


def _parameters(url: str, name: str, query: str, resource: Resource) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    for key, _ in given:
        if key not in resource.takes:
            raise ValueError(
                f"{url}: {name} takes no parameter {key!r}; it takes {', '.join(resource.takes)}"
            )
        if sum(key == other for other, _ in given) > 1:
            raise ValueError(f"{url}: parameter {key!r} stands there twice; say it once")
    return dict(given)


def _count(value: str) -> int:
    digits, unit = (value[:-1], value[-1]) if value[-1:] in ("k", "M") else (value, "")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"count {value!r} is not a whole number such as 500, 2k or 1M")
    return int(digits) * {"": 1, "k": 1_000, "M": 1_000_000}[unit]


def rows(url: str, seed: int) -> tuple[str, Iterator[dict[str, Any]]]:
    """The rows that a `demo://` URL names.

    Args:
        url: `demo://RESOURCE?language=..&count=..&split=..&level=..`; `count` is 1000 where it is not given, `split` is test for
            questions and train otherwise; `level` is full where it is not given; `language` must be given where the resource takes it.
        seed: the same seed gives the same rows.

    Returns:
        The name of the row type (`documents`, `conversations`, `preferences`, `questions`) and the rows.

    Raises:
        ValueError: one line that names the bad part and says what is allowed.
    """
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        raise ValueError(
            f"{url}: scheme {parts.scheme!r} is not {SCHEME}; write {SCHEME}://documents?language=en&count=100"
        )
    name = parts.netloc
    if name not in RESOURCES:
        raise ValueError(f"{url}: {name!r} is not one of {', '.join(RESOURCES)}")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"{url}: nothing may stand after {name!r} but ?parameters")
    resource = RESOURCES[name]
    given = _parameters(url, name, parts.query, resource)
    try:
        count = _count(given.get("count", str(DEFAULT_COUNT)))
        split = given.get("split", resource.split)
        allowed("split", split, SPLITS)
        level = given.get("level", "full")
        allowed("level", level, tuple(LEVELS))
        language = given.get("language", "")
        if "language" in resource.takes:
            allowed("language", language, LANGUAGES)
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from None
    match name:
        case "documents":
            made = documents(seed=seed, count=count, language=language, split=split, level=level)
        case "parallel":
            made = parallel(seed=seed, count=count, split=split, level=level)
        case "conversations":
            made = conversations(seed=seed, count=count, language=language, split=split, level=level)
        case "preferences":
            made = preferences(seed=seed, count=count, language=language, level=level)
        case _:
            made = questions(seed=seed, count=count, language=language, split=split, level=level)
    return resource.rows, made
