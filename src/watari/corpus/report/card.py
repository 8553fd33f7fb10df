"""The dataset card of a finished corpus: README.md and README.ja.md in the form that the Hugging Face Hub reads.

Every figure comes from the build's files. What the card says of law is general; it is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from watari.artifact import atomic
from watari.corpus.licenses import license_name
from watari.corpus.report import numbers
from watari.corpus.report.breakdowns import Groups, Task, contamination_of, grouped, masked_of
from watari.corpus.report.flow import Flow, flow_of
from watari.corpus.report.record import BuildRecord, RecordedRule
from watari.corpus.report.tables import MEMORY, Tables, opened
from watari.corpus.report.terms import TERMS
from watari.pages.numbers import percent, short, whole
from watari.pages.page import environment
from watari.pages.visible import head, visible

CARDS = {"en": "README.md", "ja": "README.ja.md"}

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
    (100_000_000_000, "10B<n<100B"),
    (1_000_000_000_000, "100B<n<1T"),
)
_CREATIVE_COMMONS = {
    "cc-by": ("2.0", "2.5", "3.0", "4.0"),
    "cc-by-sa": ("3.0", "4.0"),
    "cc-by-nc": ("2.0", "3.0", "4.0"),
    "cc-by-nd": ("4.0",),
    "cc-by-nc-nd": ("3.0", "4.0"),
    "cc-by-nc-sa": ("2.0", "3.0", "4.0"),
}
_LICENSES = {
    *(f"{name}-{version}" for name, versions in _CREATIVE_COMMONS.items() for version in versions),
    *(
        "cc0-1.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "odc-by",
        "odbl",
        "pddl",
        "gfdl",
    ),
    *(
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "gpl-3.0",
        "lgpl-3.0",
        "agpl-3.0",
        "isc",
        "unlicense",
    ),
}
"""Identifiers that the Hub knows, of those that documents bear."""
_ALIASES = {"cc0": "cc0-1.0", "odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "apache-2": "apache-2.0"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")


@dataclass(frozen=True)
class Card:
    """A dataset card: its text by language (`en`, `ja`)."""

    texts: dict[str, str]


def card(folder: Path, *, name: str = "", contact: str = "", hub_id: str = "", memory: str = MEMORY) -> Card:
    """Return the cards of a finished build. The same files give the same text.

    Args:
        folder: What `corpus.build` wrote.
        name: What the dataset is called; default: the corpus's name.
        contact: Whom to ask for a takedown: an address or URL; default: whoever publishes the dataset.
        hub_id: Its id on the Hub, `org/name`, for the example of how to load it.
        memory: See `tables.opened`.

    Raises:
        UserError: if that is no finished build.
    """
    with opened(folder, memory=memory) as tables:
        about = _about(tables, name, contact, hub_id)
        meta = _head(tables, about)
        return Card({language: meta + _rendered(language, about) for language in CARDS})


def write(
    folder: Path,
    out: Path | None = None,
    *,
    name: str = "",
    contact: str = "",
    hub_id: str = "",
    memory: str = MEMORY,
) -> list[Path]:
    """Write `README.md` and `README.ja.md` into `out` (default: the build's folder), and return where they lie."""
    made = card(folder, name=name, contact=contact, hub_id=hub_id, memory=memory)
    paths = []
    for language, text in made.texts.items():
        path = (out or folder) / CARDS[language]
        atomic.write_text(path, text)
        paths.append(path)
    return paths


def license_id(said: str) -> str | None:
    """Return the Hub's identifier of a licence as documents name it (`CC BY-SA 4.0`, a URL), or None."""
    name = license_name(said)
    name = _ALIASES.get(name, name)
    return name if name in _LICENSES else None


def size_category(documents: int) -> str:
    """Return the Hub's size category of a number of documents."""
    return next((name for limit, name in _SIZES if documents < limit), "n>1T")


@dataclass(frozen=True)
class _About:
    """What both cards are made of."""

    record: BuildRecord
    flow: Flow
    name: str
    contact: str
    hub_id: str
    file_bytes: int
    languages: Groups
    sources: Groups
    licenses: Groups
    rules: list[RecordedRule]
    tasks: list[Task]
    masked: list[tuple[str, int, int | None]]
    clusters: int
    agreement: float | None


def _about(tables: Tables, name: str, contact: str, hub_id: str) -> _About:
    record = tables.record
    files = (tables.folder / "documents").glob("*.parquet")
    ((clusters,),) = tables.rows("SELECT count(*) FROM documents WHERE cluster_size > 1")
    ((agreement,),) = tables.rows("SELECT max(threshold) FROM ledger WHERE reason = 'near duplicate'")
    return _About(
        record=record,
        flow=flow_of(tables),
        name=name or record.name or "corpus",
        contact=contact,
        hub_id=hub_id,
        file_bytes=sum(path.stat().st_size for path in files),
        languages=_kept_only(grouped(tables, "language")),
        sources=grouped(tables, "source"),
        licenses=_kept_only(grouped(tables, "license")),
        rules=record.profile.rules if record.profile else [],
        tasks=contamination_of(tables),
        masked=masked_of(tables),
        clusters=clusters,
        agreement=agreement,
    )


def _kept_only(found: Groups) -> Groups:
    groups = [group for group in found.groups if group.kept]
    return Groups(groups, found.total)


def _head(tables: Tables, about: _About) -> str:
    """Return the YAML block that the Hub reads."""
    codes = sorted({group.name for group in about.languages.groups} - {"", "und"})
    named = [group.name for group in about.licenses.groups if group.name]
    known = {said: license_id(said) for said in named}
    identifiers = sorted({found for found in known.values() if found})
    other = sorted(said for said, found in known.items() if found is None)
    unnamed = any(not group.name for group in about.licenses.groups)
    licenses = [*identifiers, *(["other"] if other else []), *(["unknown"] if unnamed or not named else [])]
    meta: dict[str, Any] = {
        "pretty_name": visible(about.name, lines=False),
        "language": codes,
        "license": licenses[0] if len(licenses) == 1 else licenses,
    }
    if other:
        meta["license_name"] = head("; ".join(visible(said, lines=False) for said in other), 200, lines=False)
    meta |= {
        "size_categories": [size_category(about.flow.kept.documents)],
        "source_datasets": about.record.source_datasets,
        "task_categories": ["text-generation"],
        "tags": ["watari", "pre-training"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "documents/*.parquet"}]}
        ],
    }
    given = {name: value for name, value in meta.items() if value}
    text = yaml.safe_dump(given, allow_unicode=True, sort_keys=False, width=110)
    return f"---\n{text}---\n\n"


def _rendered(language: str, about: _About) -> str:
    helpers: dict[str, Callable[..., object]] = {
        "md": markdown,
        "code": _code,
        "term": lambda name: markdown(str(TERMS.get(name, name) if language == "ja" else name)),
        "whole": whole,
        "size": numbers.size,
        "percent": percent,
        "figure": numbers.figure,
        "limits": _limits,
        "figure_of": lambda task, name: numbers.figure(task.figures.get(name)),
        "tokens": lambda amount: f"~{short(amount.tokens)}" if amount.tokens is not None else "–",
        "parameters": lambda names: _parameters(about.record.parameters, names),
    }
    # Markdown: everything from outside goes through `md` or `code`.
    template = environment("watari.corpus.report", autoescape=False).get_template(
        f"card.{language}.md", globals=helpers
    )
    made = template.render(about=about, record=about.record, flow=about.flow)
    return re.sub(r"\n{3,}", "\n\n", made)


def markdown(text: str) -> str:
    """Return a text from outside for Markdown: one line, nothing in it means anything."""
    shown = head(text, 200, lines=False).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", shown).strip()


def _code(text: str) -> str:
    """Return a text as inline code, within a table too."""
    shown = head(text, 1000, lines=False).replace("`", "ˋ").replace("|", "\\|").strip()
    return f"`{shown}`" if shown else ""


def _limits(rule: RecordedRule) -> str:
    signs = {"min": "≥", "above": "&gt;", "max": "≤", "below": "&lt;"}
    return ", ".join(f"{signs[name]} {numbers.figure(value)}" for name, value in rule.limits.items())


def _parameters(given: dict[str, Any], names: Iterable[str]) -> list[tuple[str, str]]:
    """Return those parameters that are set, as (name, JSON)."""
    import json

    return [
        (name, json.dumps(given[name], ensure_ascii=False))
        for name in names
        if given.get(name) not in (None, [], {}, "")
    ]
