"""What a person names after `watari translate`: endpoints and models by position, and a file of conversations."""

from __future__ import annotations

import ipaddress
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watari.errors import UserError

if TYPE_CHECKING:
    from watari.artifact.records import Fault, Record
    from watari.artifact.rows import Row

_FORMS = (
    ("messages", "messages"),
    ("conversations", "sharegpt"),
    ("instruction", "alpaca"),
    ("src", "src"),
    ("prompt", "prompt"),
)
"""Columns by which the first row shows its form."""


@dataclass(frozen=True)
class Asked:
    """Who is asked and what it may cost, as given on the command line.

    Args:
        endpoints, models, keys, prices_in, prices_out: In the order given.
        budget, budget_tokens, budget_requests: At most.
        concurrency: Requests in flight at most.
    """

    endpoints: Sequence[str]
    models: Sequence[str]
    keys: Sequence[str]
    prices_in: Sequence[float]
    prices_out: Sequence[float]
    budget: float | None
    budget_tokens: str | None
    budget_requests: str | None
    concurrency: int | None

    def teachers(self) -> list[dict[str, Any]]:
        """Return the endpoints' settings: what is given once holds for every model.

        Raises:
            UserError: if the numbers do not fit, or something costs an unknown amount.
        """
        count = max(len(self.models), len(self.endpoints))
        urls, models = self._each("endpoint", self.endpoints, count), self._each("model", self.models, count)
        keys = self._each("key-env", self.keys or [None], count)
        prompt = self._each("price-in", self.prices_in or [None], count)
        answer = self._each("price-out", self.prices_out or [None], count)
        found = []
        for place, (url, model) in enumerate(zip(urls, models, strict=True)):
            unknown = prompt[place] is None and answer[place] is None
            if unknown and self.budget is not None and not is_local(url):
                raise UserError(
                    f"--budget-usd: what {model} at {url} costs is not known",
                    "give --price-in and --price-out per million tokens; 0 if it is free",
                )
            one: dict[str, Any] = {
                "base_url": url,
                "model": model,
                "price": {"input": prompt[place] or 0.0, "output": answer[place] or 0.0},
            }
            if keys[place] is not None:
                one["key_env"] = keys[place]
            if self.concurrency is not None:
                one["limits"] = {"concurrency": self.concurrency}
            found.append(one)
        names = [
            model if models.count(model) == 1 else f"{model} at {url}"
            for url, model in zip(urls, models, strict=True)
        ]
        for place, one in enumerate(found):
            one["name"] = names[place]
        priced = [one["name"] for one in found if any(one["price"].values())]
        if priced and self.budget is None:
            raise UserError(
                f"{priced[0]} costs money, and no budget is given",
                "give --budget-usd, what may be spent at most",
            )
        return found

    def limits(self) -> dict[str, Any]:
        """Return the budget's fields."""
        given = {"money": self.budget, "tokens": self.budget_tokens, "requests": self.budget_requests}
        return {name: value for name, value in given.items() if value is not None}

    def _each(self, option: str, values: Sequence[Any], count: int) -> list[Any]:
        if len(values) not in (1, count):
            raise UserError(
                f"--{option}: {len(values)} given for {count} models", "give one, or one for each"
            )
        return list(values) * count if len(values) == 1 else list(values)


def is_local(url: str) -> bool:
    """True for a scripted server and for an address of this machine."""
    parts = urlsplit(url)
    if parts.scheme == "replay" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def conversations(location: str, *, source: str, limit: int | None = None) -> Iterator[Row]:
    """Yield the rows of a file as conversations, with distinct ids, as they are read.

    A row that is no conversation comes as {id: its place, fault: what is wrong with it}.

    Raises:
        UserError: if nothing is there, or the first row is in no form that is known.
    """
    from watari.artifact.reading import ReadOptions, read_records

    records = read_records(location, ReadOptions())
    first = next(records, None)
    if first is None:
        raise UserError(f"{location}: holds no rows", "check the path and the file format")
    form = _form(location, first)
    rows = _rows(chain([first], records), form, location, source)
    return rows if limit is None else islice(rows, limit)


def count_of(location: str, limit: int | None) -> int | None:
    """Return how many rows a local file has, for progress, where that is quickly told; None where it is not."""
    path = Path(location)
    if not path.is_file():
        return None
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            count = int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError):
            return None  # what is wrong with it is told where it is read
    elif path.suffix in (".jsonl", ".ndjson"):
        with path.open("rb") as stream:
            count = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    else:
        return None
    return count if limit is None else min(count, limit)


def _form(location: str, first: Record | Fault) -> str:
    from watari.artifact.records import Record

    if not isinstance(first, Record):
        return "messages"
    for column, form in _FORMS:
        if column in first.row:
            return form
    raise UserError(
        f"{location}: the first row has {', '.join(sorted(first.row)) or 'no fields'}",
        "conversations have `messages` (OpenAI), `conversations` (ShareGPT), `instruction` (Alpaca) or `prompt`",
    )


def _rows(records: Iterator[Record | Fault], form: str, location: str, language: str) -> Iterator[Row]:
    import xxhash

    from watari.artifact.records import Fault, meta_of, source_name
    from watari.data.forms import Shaped, shape

    named = source_name(location)
    met = _Met()
    for item in records:
        record = item if isinstance(item, Fault) else _as_messages(item, form)
        known_form = form if form in ("sharegpt", "alpaca") else "messages"
        shaped = record if isinstance(record, Fault) else shape(record, known_form)  # type: ignore[arg-type]
        if not isinstance(shaped, Shaped):
            said = f"{shaped.reason}: {shaped.detail}" if shaped.detail else shaped.reason
            yield {"id": item.place.inside, "fault": said, "source": named}
            continue
        assert not isinstance(record, Fault)
        row = record.row
        given = row.get("id")
        name = shaped.identity if given in (None, "") else str(given)
        if not met.add(xxhash.xxh3_64_intdigest(name.encode())):
            name = f"{name}~{shaped.identity[:8]}"
            if not met.add(xxhash.xxh3_64_intdigest(name.encode())):
                yield {"id": name, "fault": "row was there before", "source": named}
                continue
        known = {*shaped.used, "id", "language", "source", "license", "parents", "meta"}
        yield {
            **shaped.content,
            "id": name,
            "language": row["language"] if isinstance(row.get("language"), str) else language,
            "source": row["source"] if isinstance(row.get("source"), str) else named,
            "license": row["license"] if isinstance(row.get("license"), str) else None,
            "parents": [],
            "meta": meta_of(row, known),
        }


def _as_messages(record: Record, form: str) -> Record:
    """Return a row with `src` or `prompt` as one with `messages`."""
    if form == "src":
        messages = record.row.get("src")
    elif form == "prompt":
        prompt = record.row.get("prompt")
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    else:
        return record
    rest = {name: value for name, value in record.row.items() if name != form}
    return replace(record, row={**rest, "messages": messages})


class _Met:
    """Hashes that were met, in 16 to 32 bytes each: a set of a million Python numbers takes 100 MB."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, mark: int) -> bool:
        """Add a hash of 64 bits; return False if it was there."""
        if not self._put(mark or 1):
            return False
        self._count += 1
        if 2 * self._count > len(self._slots):
            before, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
            for one in before:
                if one:
                    self._put(one)
        return True

    def _put(self, mark: int) -> bool:
        slots = self._slots
        place = mark % len(slots)
        while slots[place]:
            if slots[place] == mark:
                return False
            place = (place + 1) % len(slots)
        slots[place] = mark
        return True
