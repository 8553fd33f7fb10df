"""Datasets with gold answers, from wherever they are: published files, llm-jp-eval's own folders, plain rows, the hub.

    jnli, jsquad, jcommonsenseqa, jsts   JGLUE's files, by their fields; `valid` is what llm-jp-eval asks
    janli.tsv · jsick train.tsv test.tsv · jamp train_all.tsv test_2.tsv · JSeM's XML files (as one dataset)
    NIILC's XML (dev: examples, test: asked) · JEMHopQA's train.json and dev.json (asked)
    evaluation/{train,test}/NAME.json    llm-jp-eval's common form: instruction, output_length, samples
    rows {dataset, id | i, input, gold [, split]}, one a line

Every one may be packed (.gz). What a file holds is told by its content, the split by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from watari.artifact.hub import hub_place
from watari.artifact.hub_files import hub_copy, hub_files
from watari.artifact.outside import dataset_location
from watari.errors import UserError
from watari.evals.jaster import datasets_nli as nli
from watari.evals.jaster import datasets_qa as qa
from watari.evals.jaster.datasets_files import (
    SUFFIXES,
    Found,
    Rows,
    Table,
    Tree,
    Value,
    read_file,
    suffix_of,
)
from watari.evals.jaster.datasets_kinds import kind_of, part_of, plain_name, split_of
from watari.evals.jaster.items import Dataset, JasterItem, Split, datasets_of
from watari.evals.params import BUNDLED

_HOLDS_ALL = ("janli", "jsem", "rows")


def load_datasets(places: Sequence[str]) -> dict[str, Dataset]:
    """Return the datasets of some places, by name, in the order in which they were found.

    Args:
        places: `bundled`, files, folders, `hf://datasets/...` or hub ids.

    Raises:
        UserError: for a place without any dataset, a file that is broken, a dataset that comes twice.
    """
    found: dict[str, Dataset] = {}
    for place in places:
        here = _load(place)
        if not here:
            raise UserError(
                f"{place}: no dataset in a known form",
                "published files of JGLUE, NIILC, ..., or rows {dataset, id, input, gold}",
            )
        for name, dataset in here.items():
            if name in found:
                raise UserError(
                    f"{name} comes from {found[name].sources[0]} and from {dataset.sources[0]}",
                    "give it once",
                )
            found[name] = dataset
    return found


def _load(place: str) -> dict[str, Dataset]:
    if place == BUNDLED:
        from importlib import resources

        folder = resources.files("watari.evals") / "bundled" / "jaster"
        with resources.as_file(folder) as path:
            found = _of_files(sorted(path.glob("*.jsonl")))
        return {name: replace(dataset, bundled=True) for name, dataset in found.items()}
    if (repository := hub_place(dataset_location(place))) is not None:
        return _of_hub(dataset_location(place), f"{repository.kind}s")
    path = Path(place)
    if path.is_file():
        return _of_files([path], alone=True)
    if path.is_dir():
        return _of_files(sorted(file for file in path.rglob("*") if file.is_file()))
    return _of_rows(_remote(place), place)


def _of_hub(location: str, kind: str) -> dict[str, Dataset]:
    """Return the datasets of a repository: its files, fetched into the hub's cache, told of as they are called there."""
    found: dict[Path, Path] = {}
    listed = hub_files(location)
    for url in listed:
        name = Path(url.removeprefix(f"hf://{kind}/"))
        if suffix_of(name) in SUFFIXES:
            found[name] = hub_copy(url)
    return _of_files(list(found), alone=listed == [location], lie=found)


def _remote(place: str) -> Iterator[tuple[Any, str]]:
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Record

    for record in read_records(place, ReadOptions()):
        if not isinstance(record, Record):
            raise UserError(str(record))
        yield record.row, str(record.place)


def _of_rows(rows: Iterable[tuple[Any, str]], place: str) -> dict[str, Dataset]:
    """Return the datasets of rows that do not come from a file of ours; the split is told by the place of each."""
    by_file: dict[str, list[tuple[Any, str]]] = {}
    for row, where in rows:
        by_file.setdefault(where.rsplit(": ", 1)[0], []).append((row, where))
    items: list[JasterItem] = []
    for name, part in by_file.items():
        kind = kind_of(Rows(part))
        if kind is None:
            raise UserError(f"{name}: rows in no known form", "wanted: {dataset, id, input, gold}")
        items += _items(kind, Rows(part), name, split_of(name) or "test")
    return datasets_of(items, [place])


def _of_files(
    paths: Sequence[Path], *, alone: bool = False, lie: Mapping[Path, Path] | None = None
) -> dict[str, Dataset]:
    """Return the datasets of some files; where several are the same part of one, the plainest name counts.

    Args:
        paths: Of the files, as they are told of.
        alone: One that was named, so it is to be a dataset.
        lie: Where their bytes are, if elsewhere.
    """
    parts: dict[tuple[str, str], list[tuple[Path, Found]]] = {}
    for path in paths:
        found = read_file(path, must=alone, lies=(lie or {}).get(path))
        kind = kind_of(found) if found is not None else None
        if found is None or kind is None:
            if alone:
                raise UserError(
                    f"{path}: no dataset in a known form",
                    "published files of JGLUE, NIILC, ..., or rows {dataset, id, input, gold}",
                )
            continue
        name = f"common:{plain_name(path)}" if kind == "common" else kind
        # JSeM's parts are one dataset; rows name their own splits.
        part = str(path) if kind == "rows" else "" if kind in _HOLDS_ALL else part_of(path, kind)
        parts.setdefault((name, part), []).append((path, found))
    datasets: dict[str, Dataset] = {}
    items: dict[str, list[JasterItem]] = {}
    sources: dict[str, list[str]] = {}
    published: set[str] = set()
    jglue_valid = {name for name, part in parts if part == "valid"}
    for (name, part), files in parts.items():
        if part == "held-out" and name in jglue_valid:
            continue
        if name == "jsem":
            roots = [(found.root, str(path)) for path, found in files if isinstance(found, Tree)]
            items["jsem"] = nli.jsem(roots)
            sources["jsem"] = [str(path) for path, _ in files]
            continue
        path, content = min(files, key=lambda file: (len(file[0].name), str(file[0])))
        if name.startswith("common:"):
            _common(datasets, path, content, part)
            continue
        split: Split = "train" if part == "train" else "dev" if part == "dev" else "test"
        if kind_of(content) not in ("rows", "common"):
            published.add(name)
        for item in _items(name, content, str(path), split):
            items.setdefault(item.dataset, []).append(item)
            if str(path) not in sources.setdefault(item.dataset, []):
                sources[item.dataset].append(str(path))
    for name, members in items.items():
        if name in datasets:
            raise UserError(
                f"{name} stands in {sources[name][0]} and in {datasets[name].sources[0]}", "give one"
            )
        _unique(members, sources[name][0])
        made = datasets_of(members)[name]
        datasets[name] = replace(made, sources=tuple(sources[name]), published=name in published)
    return datasets


def _items(kind: str, found: Found, file: str, split: Split) -> list[JasterItem]:
    match kind, found:
        case "rows", Rows(rows):
            return [_row(row, place, split) for row, place in rows]
        case "jnli", Rows(rows):
            return list(nli.jnli(rows, split))
        case "jcommonsenseqa", Rows(rows):
            return list(qa.jcommonsenseqa(rows, split))
        case "jsts", Rows(rows):
            return list(qa.jsts(rows, split))
        case "jemhopqa", Rows(rows):
            # It has train and dev; dev is what llm-jp-eval asks.
            return list(qa.jemhopqa(rows, "test" if split == "dev" else split))
        case "jsquad", Value(content):
            return list(qa.jsquad(content, file, split))
        case "janli", Table(_, rows):
            return list(nli.janli([(row, place) for row, _, place in rows]))
        case "jsick", Table(_, rows):
            return list(nli.jsick([(row, place) for row, _, place in rows], split))
        case "jamp", Table(_, rows):
            return list(nli.jamp([(cells, place) for _, cells, place in rows], split))
        case "niilc", Tree(root):
            # Its dev is the larger part and has always been the examples.
            return list(qa.niilc(root, file, "train" if split == "dev" else split))
    raise UserError(f"{file}: {kind} in a form that is not known", "give its published file")


def _row(row: Any, place: str, split: Split) -> JasterItem:
    given = row.get("split", split)
    if given not in ("train", "dev", "test"):
        raise UserError(f"{place}: split: {given!r:.40}", "train, dev or test")
    for name in ("input", "gold"):
        if not isinstance(row.get(name), str):
            raise UserError(f"{place}: `{name}` is no text", "wanted: {dataset, id, input, gold}")
    number = row.get("id", row.get("i"))
    if isinstance(number, bool) or not isinstance(number, str | int):
        raise UserError(f"{place}: neither `id` nor `i`", "wanted: {dataset, id, input, gold}")
    dataset = nli.field(row, "dataset", place)
    return JasterItem(dataset, str(number), row["input"], row["gold"], given)


def _common(datasets: dict[str, Dataset], path: Path, found: Found, part: str) -> None:
    """Take one file of llm-jp-eval's common form into the datasets."""
    assert isinstance(found, Value)
    content = found.content
    name = plain_name(path)

    def samples(key: str, split: Split) -> tuple[JasterItem, ...]:
        rows = content.get(key) or []
        if not isinstance(rows, list):
            raise UserError(f"{path}: `{key}` is no list", "is it llm-jp-eval's evaluation form?")
        return tuple(
            JasterItem(
                name,
                f"{split}-{n}",
                nli.field(row, "input", f"{path}: {key}[{n}]"),
                nli.field(row, "output", f"{path}: {key}[{n}]"),
                split,
            )
            for n, row in enumerate(rows)
        )

    known = datasets.get(name, Dataset(name, ()))
    length = content.get("output_length")
    known = replace(
        known,
        instruction=known.instruction or str(content.get("instruction") or ""),
        output_length=length if isinstance(length, int) and length > 0 else known.output_length,
        sources=(*known.sources, str(path)),
    )
    if part == "train":
        known = replace(known, train=samples("samples", "train"))
    elif part != "dev":
        known = replace(known, test=samples("samples", "test"))
        if content.get("few_shots") and not known.train:
            known = replace(known, train=samples("few_shots", "train"))
    datasets[name] = known


def _unique(items: Sequence[JasterItem], file: str) -> None:
    seen: set[tuple[str, str]] = set()
    for item in items:
        if (key := (item.split, item.id)) in seen and item.dataset not in (
            "janli",
            "jsem",
            "jsick",
            "jnli",
            "jsts",
        ):
            raise UserError(f"{file}: {item.dataset}: {item.id} is there twice", "remove one")
        seen.add(key)
