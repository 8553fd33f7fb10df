"""The mixture: quotas met within a document, by draws that nothing but the rows decides."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.artifact.hashing import hash_text
from watari.corpus import mix
from watari.corpus.mix import MixParams
from watari.corpus.names import keys_of
from watari.corpus.quota import find_cut
from watari.corpus.table import WORKING, undecided
from watari.errors import UserError


def table_of(rows) -> pa.Table:
    """Rows are (language, source, tokens, cluster)."""
    languages, sources, tokens, clusters = zip(*rows, strict=True) if rows else ([], [], [], [])
    columns = {
        "key": pa.array([hash_text(f"{place}") for place in range(len(rows))], pa.string()),
        "text": pa.array(["あ" * size for size in tokens], pa.large_string()),
        "language": pa.array(languages, pa.string()),
        "source": pa.array(sources, pa.string()),
        "tokens": pa.array(tokens, pa.int64()),
        "cluster_size": pa.array(clusters, pa.int32()),
    }
    table = pa.table(columns)
    for field in WORKING:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table


def mixed(table, params, *, cuts=(), seed=0, kept=None) -> tuple[np.ndarray, mix.Mixed]:
    edges = [0, *cuts, table.num_rows]
    pieces = [table.slice(start, stop - start) for start, stop in pairwise(edges)]
    weighed = [mix.weigh(piece, params, seed=seed) for piece in pieces]
    keys = [keys_of(piece.column("key")) for piece in pieces]
    result = mix.choose(weighed, keys, params, kept)
    return np.concatenate(result.copies), result


def tokens_of(table, copies, language=None, source=None) -> int:
    rows = zip(*(table.column(name).to_pylist() for name in ("language", "source", "tokens")), strict=True)
    return sum(
        size * int(copy)
        for (tongue, origin, size), copy in zip(rows, copies, strict=True)
        if language in (None, tongue) and source in (None, origin)
    )


def many(count, *, languages=("ja", "en"), seed=0) -> list[tuple[str, str, int, int]]:
    draws = np.random.default_rng(seed)
    return [
        (
            languages[place % len(languages)],
            f"s{draws.integers(3)}",
            int(draws.integers(1, 200)),
            int(draws.integers(1, 9)),
        )
        for place in range(count)
    ]


def test_shares_of_languages_are_met_by_as_much_as_the_scarcest_allows():
    table = table_of(many(1200))
    copies, result = mixed(table, MixParams.model_validate({"ja": 0.9, "en": 0.1}))
    japanese, english = (tokens_of(table, copies, language) for language in ("ja", "en"))
    assert (copies[::2] == 1).all()
    assert japanese == tokens_of(table, np.ones(1200), "ja")
    assert abs(english - japanese / 9) < 200
    assert [part.given for part in result.parts] == [english, japanese]
    assert not result.warnings


def test_sources_have_their_share_of_a_language():
    table = table_of(many(3000))
    params = MixParams(
        languages={"ja": 0.8, "en": 0.2},
        sources={"ja": {"s0": 0.5, "s1": 0.25}},
        tokens=50_000,
        on_short="stop",
    )
    copies, result = mixed(table, params)
    for source, quota in (("s0", 20_000), ("s1", 10_000), ("s2", 10_000)):
        assert quota - 200 < tokens_of(table, copies, "ja", source) <= quota
    assert 9_800 < tokens_of(table, copies, "en") <= 10_000
    assert [part.name for part in result.parts] == ["en", "ja / other sources", "ja / s0", "ja / s1"]


def test_documents_of_no_share_are_left_out_and_told():
    table = table_of([("ja", "a", 5, 1), ("ko", "a", 7, 1), ("ja", "b", 5, 1)])
    copies, result = mixed(table, MixParams(languages={"ja": 1}, sources={"ja": {"a": 1}}))
    assert copies.tolist() == [1, 0, 0]
    assert result.warnings == [
        "mix: 'ja' of 'b' has no share: its 1 documents are left out",
        "mix: 'ko' of 'a' has no share: its 1 documents are left out",
    ]
    assert all(limit[~np.isnan(limit)].tolist() == [0, 0] for limit in result.limits)


def test_nothing_is_repeated_while_anything_is_left_out():
    table = table_of(many(500, languages=("ja",)))
    supply = tokens_of(table, np.ones(500))
    for share, allowed in (
        (0.4, {0, 1}),
        (1.0, {1}),
        (1.7, {1, 2, 3}),
        (2.5, {1, 2, 3}),
        (3.0, {3}),
        (9.0, {3}),
    ):
        copies, result = mixed(table, MixParams(tokens=int(supply * share), repeats=3))
        assert set(copies.tolist()) <= allowed, share
        given = tokens_of(table, copies)
        assert given == result.parts[0].given
        assert given == supply * 3 or supply * share - 200 < given <= supply * share
        assert bool(result.warnings) == (share > 3)


def test_larger_clusters_are_repeated_first():
    rows = [("ja", "a", 10, cluster) for cluster in [1, 2, 16] * 400]
    table = table_of(rows)
    copies, _ = mixed(table, MixParams(tokens=12_000 * 2, repeats=8))
    means = [copies[place::3].mean() for place in range(3)]
    assert means[0] < means[1] < means[2]
    # One and a share of the rest as 1 : 2 : 5, the appetite 1 + log2 of the size.
    assert np.allclose([(mean - 1) * 8 / 3 for mean in means], [1, 2, 5], atol=0.15)
    copies, _ = mixed(table, MixParams(tokens=12_000 * 2, repeats=8, repeat_by="all alike"))
    assert (copies == 2).all()


def test_draws_depend_on_seed_and_key_alone():
    table = table_of(many(800))
    params = MixParams(languages={"ja": 0.5, "en": 0.5}, tokens=30_000)
    copies, result = mixed(table, params)
    order = np.random.default_rng(5).permutation(800)
    again, parted = mixed(table.take(order), params, cuts=(0, 1, 300, 300))
    assert (again == copies[order]).all()
    assert parted.parts == result.parts
    assert (mixed(table, params, seed=1)[0] != copies).any()
    more, _ = mixed(table, MixParams(languages={"ja": 0.5, "en": 0.5}, tokens=31_000))
    assert (more >= copies).all()
    assert more.sum() > copies.sum()


@given(
    sizes=st.lists(st.integers(0, 50), max_size=30),
    tokens=st.integers(1, 3000),
    repeats=st.integers(1, 4),
    cut=st.integers(0, 30),
    data=st.data(),
)
def test_a_quota_is_met_within_one_document(sizes, tokens, repeats, cut, data):
    clusters = [data.draw(st.integers(1, 6)) for _ in sizes]
    table = table_of([("ja", "a", size, cluster) for size, cluster in zip(sizes, clusters, strict=True)])
    copies, result = mixed(table, MixParams(tokens=tokens, repeats=repeats), cuts=(min(cut, len(sizes)),))
    given_tokens, supply = tokens_of(table, copies), sum(sizes)
    assert given_tokens <= tokens
    assert copies.max(initial=0) <= repeats
    if supply * repeats <= tokens:
        assert given_tokens == supply * repeats
        assert bool(result.warnings) == (supply * repeats < tokens)
    else:
        assert given_tokens > tokens - max(sizes)
    assert result.parts[0].given == given_tokens
    assert result.parts[0].documents == (copies > 0).sum()
    assert result.parts[0].repeated == (copies > 1).sum()


@given(
    values=st.lists(st.floats(allow_nan=False), max_size=60),
    levels=st.integers(1, 60),
    budget=st.integers(0, 200),
    data=st.data(),
)
def test_the_cut_is_where_sorting_puts_it(values, levels, budget, data):
    values = np.array([values[place % levels % len(values)] for place in range(len(values))], np.float64)
    weights = np.array([data.draw(st.integers(0, 9)) for _ in values], np.int64)
    cut = find_cut(lambda: [(values[:7], weights[:7]), (values[7:], weights[7:])], budget)
    if weights.sum() <= budget:
        assert cut.whole
        assert cut.left == budget - weights.sum()
    else:
        below, at = values < cut.value, values == cut.value
        assert weights[below].sum() <= budget < weights[below | at].sum()
        assert cut.left == budget - weights[below].sum()


def test_rows_that_are_out_stay_out():
    table = table_of(many(300, languages=("ja",)))
    kept = np.arange(300) % 3 > 0
    copies, result = mixed(table, MixParams(), kept=[kept])
    assert (copies == kept).all()
    assert result.parts[0].available == 200


def test_tokens_come_from_characters_where_none_are_counted():
    table = table_of([("ja", "a", 100, 1), ("en", "a", 100, 1), ("xx", "a", 3, 1), (None, "a", 0, 1)])
    table = table.drop_columns(["tokens", "cluster_size"])
    params = MixParams(tokens_per_character={"ja": 0.6})
    weighed = mix.weigh(table, params, seed=0)
    assert weighed.tokens.tolist() == [60, 26, 2, 0]
    assert weighed.cluster.tolist() == [1, 1, 1, 1]
    assert weighed.take(np.array([True, False, False, True])).tokens.tolist() == [60, 0]


def test_the_ledger_says_the_draw_and_the_limit():
    table = undecided(table_of(many(100, languages=("ja", "ko"))))
    params = MixParams(languages={"ja": 1}, tokens=2000)
    weighed = mix.weigh(table, params, seed=0)
    result = mix.choose([weighed], [keys_of(table.column("key"))], params)
    out = mix.apply(table, weighed, result.copies[0], result.limits[0])
    assert out.column("copies").type == pa.int32()
    for row in out.to_pylist():
        assert (row["reason"] == "over quota") == (row["copies"] == 0)
        if row["copies"] == 0:
            assert row["threshold"] == 0 if row["language"] == "ko" else row["value"] >= row["threshold"] > 0


def test_no_rows_at_all():
    table = table_of([])
    copies, result = mixed(table, MixParams(tokens=10))
    assert copies.tolist() == []
    assert len(result.warnings) == 1
    out = mix.apply(
        undecided(table), mix.weigh(table, MixParams(), seed=0), result.copies[0], result.limits[0]
    )
    assert out.num_rows == 0


def test_a_quota_that_cannot_be_met_is_told_with_figures():
    table = table_of([("ja", "a", 100, 1), ("en", "a", 100, 1)])
    params = {"languages": {"ja": 0.9, "en": 0.1}, "tokens": 1000, "repeats": 2}
    copies, result = mixed(table, MixParams(**params))
    assert copies.tolist() == [2, 1]
    (warning,) = result.warnings
    assert warning == "mix: ja: 900 tokens are wanted, its 1 documents hold 100, 200 with 2 copies"
    with pytest.raises(UserError, match="ja: 900 tokens are wanted, its 1 documents hold 100"):
        mixed(table, MixParams(**params, on_short="stop"))
    with pytest.raises(UserError, match="en has a share of 0\\.1 and no document is left"):
        mixed(table.slice(0, 1), MixParams(languages={"ja": 0.9, "en": 0.1}))


def test_short_forms():
    assert MixParams.model_validate({"ja": 0.9, "en": 0.1, "tokens": "8B"}) == MixParams(
        languages={"ja": 0.9, "en": 0.1}, tokens=8_000_000_000
    )
    assert MixParams.model_validate({"zh-Hant": 1}).languages == {"zh-Hant": 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ja": 0.9, "en": 0.2}, "sum to 1.1"),
        ({"ja": 0.9}, "sum to 0.9, 1 is wanted"),
        ({"ja": -1, "en": 2}, "between 0 and 1"),
        ({"sources": {"a": 0.7, "b": 0.7}}, "sum to 1.4, over 1"),
        ({"ja": 1, "sources": {"a": 0.7}}, "with languages"),
        ({"ja": 1, "sources": {"a": 0.7, "ja": {"b": 1}}}, "not both"),
        ({"ja": 1, "sources": {"en": {"b": 1}}}, "no share in languages"),
        ({"ja": 1, "token": 5}, "Extra inputs"),
        ({"ja": float("nan")}, "finite"),
        ({"repeats": 0}, "greater than"),
        ({"tokens_per_character": {"ja": 0}}, "above 0"),
    ],
)
def test_wrong_mixtures_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        MixParams.model_validate(wrong)
