"""Exact and near duplicates: against brute force, in any partition and order, and on planted copies."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.artifact.stage import Silent
from watari.corpus.dedup import (
    DedupParams,
    DedupResult,
    apply,
    edge_tasks,
    find_edges,
    guard,
    load_decisions,
    resolve,
    signatures,
    write_arrays,
)
from watari.corpus.dedup import clusters as clusters_module
from watari.corpus.dedup import edges as edges_module
from watari.corpus.table import ROW, VERDICT, WORKING
from watari.errors import Interrupted, StageFailed

Document = tuple[str, str, str | None]  # key, source, text


def key_of(name: str) -> str:
    return xxhash.xxh3_128_hexdigest(name.encode())


def rows(documents: Sequence[Document]) -> pa.Table:
    listed = [{"key": key, "source": source, "text": text} for key, source, text in documents]
    return pa.Table.from_pylist(listed, WORKING)


def named(texts: Sequence[str | None], source: str = "web") -> list[Document]:
    return [(key_of(f"{source}/{place}"), source, text) for place, text in enumerate(texts)]


def deduplicate(
    folder: Path, pieces: Sequence[Sequence[Document]], params: DedupParams, batch: int = 7
) -> tuple[DedupResult, dict[str, dict[str, Any]]]:
    """The whole course; what was decided by key."""
    for number, documents in enumerate(pieces):
        tables = [rows(documents[start : start + batch]) for start in range(0, len(documents), batch)]
        write_arrays(folder, number, tables, params)
    for task in reversed(range(edge_tasks(folder, len(pieces), params))):
        find_edges(folder, task, params)
    result = resolve(folder, params, Silent())
    decided = {}
    for number, documents in enumerate(pieces):
        decisions = load_decisions(folder, number)
        assert len(decisions) == len(documents)
        for start in range(0, len(documents), 5):
            table = rows(documents[start : start + 5])
            table = apply(table, decisions.of(start, start + table.num_rows), params)
            assert table.schema.names == [*WORKING.names, "cluster_size"]
            decided |= {row["key"]: row for row in table.to_pylist()}
    assert result.documents == len(decided)
    return result, decided


def survivor_of(decided: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {key: row["survivor"] or key for key, row in decided.items()}


def check(decided: dict[str, dict[str, Any]], params: DedupParams, result: DedupResult) -> None:
    """What holds of any result."""
    sizes: dict[str, int] = {}
    for survivor in survivor_of(decided).values():
        sizes[survivor] = sizes.get(survivor, 0) + 1
    for key, row in decided.items():
        if row["reason"] is None:
            assert row["cluster_size"] == sizes[key]
            assert [row[name] for name in VERDICT.names] == [None] * len(VERDICT)
            continue
        other = decided[row["survivor"]]
        assert row["cluster_size"] is None
        assert other["reason"] is None, "a survivor was dropped itself"
        assert other["key"] < key
        if row["reason"] == "exact duplicate":
            assert (other["text"] or "") == (row["text"] or "")
            assert row["value"] is None
            assert row["threshold"] is None
        else:
            assert row["reason"] == "near duplicate"
            assert other["text"] != row["text"]
            _, pair = signatures(rows([("0" * 32, "", row["text"]), ("1" * 32, "", other["text"])]), params)
            assert row["value"] == np.mean(pair[0] == pair[1])
            assert row["threshold"] == params.threshold
            assert row["value"] >= params.threshold
    counted: dict[int, int] = {}
    for size in sizes.values():
        counted[size] = counted.get(size, 0) + 1
    assert result.clusters == counted
    assert sum(size * count for size, count in result.clusters.items()) == len(decided)
    reasons = [row["reason"] for row in decided.values()]
    assert result.exact == reasons.count("exact duplicate")
    assert result.near == reasons.count("near duplicate")
    largest = max(sizes.values(), default=0)
    if largest > 1:
        assert result.largest is not None
        assert (result.largest.size, result.largest.survivor) == (
            largest,
            min(key for key, size in sizes.items() if size == largest),
        )
    else:
        assert result.largest is None
    for name, loss in result.sources.items():
        own = [row for row in decided.values() if row["source"] == name]
        assert loss.documents == len(own)
        assert loss.lost == sum(row["reason"] is not None for row in own)


def words(rng: np.random.Generator, count: int) -> str:
    """Text that no other text resembles."""
    return "".join(map(chr, rng.integers(0x4E00, 0x9F00, count)))


def edited(text: str, share: float, rng: np.random.Generator, letters: str) -> str:
    """Replace, drop or insert this share of the characters, one third each."""
    found = []
    for character in text:
        draw = rng.random() / share if share else 9.0
        if draw >= 1:
            found.append(character)
        elif draw < 1 / 3:
            found.append(letters[int(rng.integers(len(letters)))])
        elif draw < 2 / 3:
            found += [character, letters[int(rng.integers(len(letters)))]]
    return "".join(found)


# --- brute force -------------------------------------------------------------------------------


def greedy(documents: Sequence[Document], params: DedupParams) -> dict[str, str]:
    """Survivor of each: by key, unless it agrees with an earlier survivor; of whole components only."""
    ordered = sorted(documents)
    _, signature = signatures(rows(ordered), params)
    exact = {}
    for key, _, text in ordered:
        exact.setdefault(text or "", key)
    number = {key: place for place, (key, _, _) in enumerate(ordered)}
    standing = sorted(exact.values())
    found: dict[str, str] = {}
    for place, key in enumerate(standing):
        leaders = [other for other in standing[:place] if found[other] == other]
        found[key] = key
        for other in leaders:
            one, two = signature[number[key]], signature[number[other]]
            if (one != 0xFFFFFFFF).any() and np.mean(one == two) >= params.threshold:
                found[key] = other
                break
    return {key: found[exact[text or ""]] for key, _, text in documents}


def test_brute_force_finds_the_same(tmp_path: Path):
    """With one word a band no pair that agrees is missed: the greedy choice over all pairs is the result."""
    rng = np.random.default_rng(3)
    params = DedupParams(bands=60, rows=1, threshold=0.6)
    texts: list[str] = []
    for _ in range(12):
        base = words(rng, 120)
        texts += [edited(base, share, rng, "い𠮷e") for share in (0, 0, 0.01, 0.02, 0.04, 0.06, 0.1)]
    documents = named(texts)
    result, decided = deduplicate(tmp_path, [documents[:31], documents[31:]], params)
    assert survivor_of(decided) == greedy(documents, params)
    check(decided, params, result)
    assert 12 < len(set(survivor_of(decided).values())) < 70, "the test must have something to decide"


def test_a_chain_is_not_a_cluster(tmp_path: Path):
    """Marin's #6854: each page resembles the next, the first and the last share nothing."""
    rng = np.random.default_rng(5)
    parts = [words(rng, 40) for _ in range(140)]
    params = DedupParams()
    documents = named(["".join(parts[start : start + 40]) for start in range(0, 100, 3)])
    result, decided = deduplicate(tmp_path, [documents], params)
    check(decided, params, result)
    # Neighbours agree (37 of 43 parts), those six apart do not.
    assert result.near > 10
    survivors = sorted(set(survivor_of(decided).values()))
    assert len(survivors) >= 6
    assert max(result.clusters) < 10


# --- partitions and orders ---------------------------------------------------------------------


def families(rng: np.random.Generator) -> list[str | None]:
    texts: list[str | None] = ["", None, "短い", "短い", "短 い", "e\u0301", "𠮷野家"]
    for _ in range(6):
        base = words(rng, int(rng.integers(20, 200)))
        texts += [edited(base, share, rng, "い𠮷e") for share in (0, 0, 0.005, 0.02, 0.05, 0.1)]
        texts.append(f"{base[:50]}\n　{base[50:]}")
    return texts


FAMILIES = named(families(np.random.default_rng(11)), "web") + named(
    families(np.random.default_rng(11))[:30], "books"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[DedupResult, dict[str, dict[str, Any]]]:
    return deduplicate(tmp_path_factory.mktemp("whole"), [FAMILIES], DedupParams())


def test_the_whole(whole: tuple[DedupResult, dict[str, dict[str, Any]]]):
    result, decided = whole
    check(decided, DedupParams(), result)
    assert result.exact > 30
    assert result.near > 10


@settings(max_examples=8)
@given(
    order=st.permutations(range(len(FAMILIES))),
    cuts=st.lists(st.integers(0, len(FAMILIES)), max_size=6),
    tasks=st.integers(1, 9),
    kernels=st.sampled_from(["numba", "numpy"]),
)
def test_any_partition_and_order(
    tmp_path_factory: pytest.TempPathFactory,
    whole: tuple[DedupResult, dict[str, dict[str, Any]]],
    order: list[int],
    cuts: list[int],
    tasks: int,
    kernels: str,
):
    documents = [FAMILIES[place] for place in order]
    ends = [0, *sorted(cuts), len(documents)]
    pieces = [documents[start:stop] for start, stop in itertools.pairwise(ends)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATARI_KERNELS", kernels)
        patch.setattr(edges_module, "FEW_TASKS", tasks)
        patch.setattr(edges_module, "SMALL_TASK", 1)
        result, decided = deduplicate(tmp_path_factory.mktemp("parts"), pieces, DedupParams())
    assert decided == whole[1]
    assert result == whole[0]


@settings(max_examples=20)
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=14))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str | None]):
    documents = named(texts)
    params = DedupParams(bands=4, rows=2)
    result, decided = deduplicate(tmp_path_factory.mktemp("any"), [documents[:5], [], documents[5:]], params)
    check(decided, params, result)
    firsts: dict[str, str] = {}
    for key, _, text in sorted(documents):
        firsts.setdefault(text or "", key)
    for key, _, text in documents:
        if key != firsts[text or ""]:
            assert decided[key]["reason"] is not None, "an exact duplicate stayed"


@pytest.mark.parametrize("nodes", [1, 3, 8])
def test_several_components_at_a_time_or_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[DedupResult, Any], nodes: int
):
    """Parts of the global step are as small as one component, and a piece."""
    monkeypatch.setattr(clusters_module, "_NODES", nodes)
    monkeypatch.setattr(clusters_module, "_READ", 2)
    monkeypatch.setattr(clusters_module, "_DECIDED", 1)
    _, decided = deduplicate(tmp_path, [FAMILIES[:20], FAMILIES[20:50], [], FAMILIES[50:]], DedupParams())
    assert decided == whole[1]


# --- short texts, none at all, and what is refused ---------------------------------------------


def test_no_documents(tmp_path: Path):
    result, decided = deduplicate(tmp_path, [[], []], DedupParams())
    assert decided == {}
    assert result == DedupResult(documents=0, exact=0, near=0, clusters={}, largest=None, sources={})
    guard(result, DedupParams())
    no_pieces, _ = deduplicate(tmp_path / "none", [], DedupParams())
    assert no_pieces == result


def test_texts_shorter_than_a_shingle_are_only_exact_duplicates(tmp_path: Path):
    texts = ["", "", " ", "\n", "一二三四", "一二 三四", "一二三四", "一二三四五", "一二三 四五", None]
    _, decided = deduplicate(tmp_path, [named(texts)], DedupParams())
    groups: dict[str, set[str | None]] = {}
    for key, survivor in survivor_of(decided).items():
        groups.setdefault(survivor, set()).add(decided[key]["text"])
    wanted = [{"", None}, {" "}, {"\n"}, {"一二三四"}, {"一二 三四"}, {"一二三四五", "一二三 四五"}]
    assert {frozenset(group) for group in groups.values()} == {frozenset(group) for group in wanted}


def test_exact_alone_and_nothing(tmp_path: Path):
    base = words(np.random.default_rng(1), 300)
    documents = named([base, base, base + "。", f" {base}"])
    result, decided = deduplicate(tmp_path / "exact", [documents], DedupParams(near=False))
    assert (result.exact, result.near) == (1, 0)
    check(decided, DedupParams(near=False), result)
    off = DedupParams(exact=False, near=False)
    result, decided = deduplicate(tmp_path / "off", [documents], off)
    assert (result.exact, result.near) == (0, 0)
    assert all(row["cluster_size"] == 1 for row in decided.values())
    with pytest.raises(ValidationError, match="write near: false too"):
        DedupParams(exact=False)


def test_signatures_have_their_shapes():
    table = rows(named(["いろはにほへと", None, "", "いろはにほへと"]))
    exact, signature = signatures(table, DedupParams(bands=3, rows=2))
    assert (exact.dtype, exact.shape) == (np.uint64, (4, 2))
    assert (signature.dtype, signature.shape) == (np.uint32, (4, 6))
    wanted = xxhash.xxh3_128_intdigest("いろはにほへと".encode())
    assert int(exact[0, 0]) << 64 | int(exact[0, 1]) == wanted
    assert np.array_equal(exact[0], exact[3])
    assert np.array_equal(exact[1], exact[2])
    sliced = pa.concat_tables([table.slice(2, 2), table.slice(0, 1)])
    assert np.array_equal(signatures(sliced, DedupParams(bands=3, rows=2))[0], exact[[2, 3, 0]])
    assert signatures(table, DedupParams(near=False))[1].shape == (4, 0)


def test_a_null_is_an_empty_text_whatever_lies_below_it():
    valid, ends = pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 9, 18], np.int64).tobytes())
    column = pa.Array.from_buffers(pa.large_string(), 2, [valid, ends, pa.py_buffer("あいうえおか".encode())])
    assert column.to_pylist() == [None, "えおか"]
    table = pa.table({"text": column})
    wanted = rows(named(["", "えおか"]))
    for found, own in zip(signatures(table, DedupParams()), signatures(wanted, DedupParams()), strict=True):
        assert np.array_equal(found, own)


def test_decisions_do_not_fall_on_other_rows(tmp_path: Path):
    documents = named(["あ", "い", "う"])
    deduplicate(tmp_path, [documents], DedupParams())
    decisions = load_decisions(tmp_path, 0)
    for wrong in (documents[:2], documents[::-1]):
        with pytest.raises(ValueError, match="not those"):
            apply(rows(wrong), decisions, DedupParams())


def test_a_piece_is_written_anew_after_an_interruption(tmp_path: Path):
    documents = named([f"{number}つめの文書です" for number in range(20)])
    params = DedupParams()
    broken = iter([rows(documents[:13]), pa.table({"key": ["00"]})])
    with pytest.raises(KeyError):
        write_arrays(tmp_path / "a", 0, broken, params)
    deduplicate(tmp_path / "a", [documents], params)
    deduplicate(tmp_path / "b", [documents], params)
    for path in sorted((tmp_path / "b").rglob("*")):
        if path.is_file():
            assert (tmp_path / "a" / path.relative_to(tmp_path / "b")).read_bytes() == path.read_bytes()
    left, right = (sorted(p.name for p in (tmp_path / name).rglob("*")) for name in "ab")
    assert left == right


def test_stops_when_asked(tmp_path: Path):
    class Stop(Silent):
        def stop_requested(self) -> bool:
            return True

    params = DedupParams()
    write_arrays(tmp_path, 0, [rows(named(["あいうえおか"]))], params)
    for task in range(edge_tasks(tmp_path, 1, params)):
        find_edges(tmp_path, task, params)
    with pytest.raises(Interrupted):
        resolve(tmp_path, params, Stop())


# --- the guard ---------------------------------------------------------------------------------


def boilerplate(count: int, others: int) -> list[list[Document]]:
    rng = np.random.default_rng(2)
    return [
        named(["同じ案内の頁です。" * 4] * count, "shop.example"),
        named([words(rng, 30) for _ in range(others)], "web"),
    ]


def test_guard_names_the_source_that_collapses(tmp_path: Path):
    pieces = boilerplate(120, 40)
    params = DedupParams()
    result, decided = deduplicate(tmp_path, pieces, params)
    survivor = min(key for key, _, _ in pieces[0])
    with pytest.raises(StageFailed) as caught:
        guard(result, params)
    message = str(caught.value)
    assert "source 'shop.example' loses 119 of 120 documents (99.2%)" in message
    assert f"120 documents and keeps {survivor}" in message
    assert "max_source_loss: 1" in message
    assert "\n" not in message
    assert decided[survivor]["cluster_size"] == 120


def test_guard_names_the_cluster(tmp_path: Path):
    pieces = boilerplate(120, 40)
    result, _ = deduplicate(tmp_path, pieces, DedupParams())
    survivor = min(key for key, _, _ in pieces[0])
    with pytest.raises(StageFailed, match=r"one cluster holds 120 of 160 documents \(75\.0%\)") as caught:
        guard(result, DedupParams(max_source_loss=1))
    assert survivor in str(caught.value)
    assert "'shop.example'" in str(caught.value)
    guard(result, DedupParams(max_source_loss=1, max_cluster_share=1))


def test_guard_looks_at_enough_documents_only(tmp_path: Path):
    result, _ = deduplicate(tmp_path, boilerplate(99, 1), DedupParams())
    guard(result, DedupParams())
    with pytest.raises(StageFailed, match="source"):
        guard(result, DedupParams(guard_documents=99))
    with pytest.raises(StageFailed, match="one cluster"):
        guard(result, DedupParams(guard_documents=99, max_source_loss=1))


def test_guard_lets_ordinary_duplicates_pass(whole: tuple[DedupResult, dict[str, dict[str, Any]]]):
    guard(whole[0], DedupParams(guard_documents=2, max_cluster_share=0.3))


# --- planted copies in real text ---------------------------------------------------------------


def first_lines(path: Path, count: int) -> list[dict[str, Any]]:
    with gzip.open(path) as file:
        return [json.loads(line) for line, _ in zip(file, range(count), strict=False)]


def unlike(texts: Sequence[str]) -> list[str]:
    """The texts without those that share a fifth of their shingles (a sixteenth of these are looked at) with
    an earlier one.

    Aozora has works in two spellings and in two editions, the encyclopaedia has pages made of one template.
    """
    seen: dict[str, list[int]] = {}
    kept = []
    for number, text in enumerate(texts):
        own = {text[n : n + 5] for n in range(len(text) - 4)}
        own = {shingle for shingle in own if xxhash.xxh32_intdigest(shingle.encode()) % 16 == 0}
        shared: dict[int, int] = {}
        for shingle in own:
            for other in seen.get(shingle, []):
                shared[other] = shared.get(other, 0) + 1
        if len(own) >= 3 and max(shared.values(), default=0) < len(own) / 5:
            kept.append(text)
            for shingle in own:
                seen.setdefault(shingle, []).append(number)
    return kept


@pytest.fixture(scope="module")
def real(test_data: Path) -> list[str]:
    """1,200 texts of 400 characters or more, and 300 shorter paragraphs, none of which resembles another."""
    books = [row["text"][:8000] for row in first_lines(test_data / "aozora/docs.jsonl.gz", 300)]
    wiki = ["".join(row["ja"]) for row in first_lines(test_data / "kyoto-wiki/docs.jsonl.gz", 2000)]
    paragraphs = [
        row["text"] for row in first_lines(test_data / "ja-text/ja_wikipedia_paragraphs.jsonl.gz", 1000)
    ]
    texts = unlike(books + wiki + paragraphs)
    long = [text for text in texts if len(text) >= 400][:1200]
    short = [text for text in texts if 150 <= len(text) < 400][:300]
    assert (len(long), len(short)) == (1200, 300)
    return long + short


def sentences_dropped(text: str, rng: np.random.Generator) -> str:
    """Without one sentence in twenty (one at least)."""
    parts = text.split("。")
    gone = set(rng.choice(len(parts), max(1, len(parts) // 20), replace=False).tolist())
    return "。".join(part for place, part in enumerate(parts) if place not in gone)


COPIES: dict[str, tuple[Callable[[str, np.random.Generator, str], str], float, float]] = {
    "half a percent": (lambda text, rng, letters: edited(text, 0.005, rng, letters), 0.99, 1),
    "two percent": (lambda text, rng, letters: edited(text, 0.02, rng, letters), 0.95, 1),
    # Their true similarity is near .65: most of them are right to stay.
    "five percent": (lambda text, rng, letters: edited(text, 0.05, rng, letters), 0.05, 0.5),
    "footer": (lambda text, rng, letters: f"{text}\n\n{'転載はご遠慮ください。'[: len(text) // 40]}", 1, 1),
    "white space": (lambda text, rng, letters: "　" + "\n\n".join(text.split("。")), 0.9, 1),
    "new lines": (lambda text, rng, letters: text.replace("。", "。\n"), 1, 1),
}


@pytest.mark.parametrize("name", COPIES)
def test_planted_copies(tmp_path: Path, real: list[str], name: str):
    """Recall over documents of 400 characters or more."""
    make, least, most = COPIES[name]
    rng = np.random.default_rng(17)
    texts = real[:1200]
    copies = [make(text, rng, texts[0]) for text in texts]
    params = DedupParams()
    one, other = named(texts, "web"), named(copies, "copies")
    result, decided = deduplicate(tmp_path, [one, other], params, batch=500)
    survivor = survivor_of(decided)
    found = np.mean([survivor[a[0]] == survivor[b[0]] for a, b in zip(one, other, strict=True)])
    assert least <= found <= most
    # No pair that does not belong together.
    place = {key: number % len(texts) for number, (key, _, _) in enumerate(one + other)}
    mixed = [key for key, stays in survivor.items() if place[key] != place[stays]]
    assert len(mixed) <= 2
    assert sum(result.clusters.values()) >= len(texts) - 2


def test_a_source_may_be_a_copy_of_another(tmp_path: Path, real: list[str]):
    """Which side stays is as good as drawn, and neither is lost."""
    params = DedupParams()
    result, _ = deduplicate(tmp_path, [named(real, "a"), named(real, "b")], params, batch=500)
    assert result.exact == len(real)
    assert 0.4 < result.sources["a"].lost / len(real) < 0.6
    guard(result, params)


def test_recall_is_that_of_datasketch(tmp_path: Path, real: list[str]):
    """The same shingles, bands and rows in another implementation find the same copies, within chance."""
    datasketch = pytest.importorskip("datasketch")
    rng = np.random.default_rng(23)
    texts = [text[:1500] for text in real[:400]]
    copies = [edited(text, 0.03, rng, texts[0]) for text in texts]
    params = DedupParams(threshold=0.01)

    def theirs(text: str) -> Any:
        bare = "".join(text.split())
        made = datasketch.MinHash(num_perm=112, hashfunc=xxhash.xxh32_intdigest)
        made.update_batch([bare[n : n + 5].encode() for n in range(len(bare) - 4)])
        return made

    index = datasketch.MinHashLSH(num_perm=112, params=(16, 7))
    for number, text in enumerate(texts):
        index.insert(number, theirs(text))
    peer = np.mean([number in index.query(theirs(copy)) for number, copy in enumerate(copies)])
    _, decided = deduplicate(tmp_path, [named(texts, "a"), named(copies, "b")], params, batch=500)
    survivor = survivor_of(decided)
    ours = np.mean([survivor[key_of(f"a/{n}")] == survivor[key_of(f"b/{n}")] for n in range(len(texts))])
    assert 0.5 < peer < 0.99
    assert abs(ours - peer) < 0.08


def test_a_huge_bucket_of_copies(tmp_path: Path):
    """Thousands of pages of one template: compared with few, and all found."""
    rng = np.random.default_rng(31)
    base = words(rng, 400)
    texts = [base[:n] + "×" + base[n:] for n in range(1, 400)] * 3
    texts += [f"{base}{words(rng, 3)}" for _ in range(400)]
    result, decided = deduplicate(tmp_path, [named(texts)], DedupParams(), batch=500)
    assert len(set(survivor_of(decided).values())) == 1
    assert result.clusters == {len(texts): 1}
    assert result.largest is not None
    assert result.largest.size == len(texts)


def test_one_of_the_same_texts_stands_for_all(tmp_path: Path):
    """A million copies of one page are not a million pairs in each band."""
    rng = np.random.default_rng(37)
    base = words(rng, 400)
    documents = named([base] * 30 + [f"{base}。"] * 30)
    params = DedupParams()
    result, decided = deduplicate(tmp_path, [documents], params)
    check(decided, params, result)
    pairs = [edges_module.edges_file(tmp_path, kind, 0).stat().st_size // 8 for kind in ("exact", "near")]
    assert pairs == [58, 1]
    assert result.clusters == {60: 1}


def test_row_columns_are_kept(tmp_path: Path):
    _, decided = deduplicate(tmp_path, [named(["いろは", "いろは"])], DedupParams())
    assert set(decided[min(decided)]) >= set(ROW.names)


def test_shingles_of_another_length_by_language(tmp_path: Path):
    table = rows(named(["The same English sentence.", "日本語の文です。", "The same English sentence."]))
    table = table.set_column(
        table.schema.get_field_index("language"), "language", pa.array(["en", "ja", None])
    )
    plain = signatures(table, DedupParams())[1]
    longer = signatures(table, DedupParams(shingle=8))[1]
    mixed = signatures(table, DedupParams(shingles={"en": 8, "ko": 3}))[1]
    assert np.array_equal(mixed[0], longer[0])
    assert np.array_equal(mixed[1:], plain[1:])
    assert not np.array_equal(longer[0], plain[0])
    with pytest.raises(ValidationError):
        DedupParams(shingles={"en": 0})
