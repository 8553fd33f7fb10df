"""Selection by likeness to a target: what it picks, that nothing but the rows themselves decides, and what it refuses."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from watari.artifact.hashing import hash_text
from watari.corpus import selection
from watari.corpus.names import keys_of
from watari.corpus.selection import Counts, Ratios, SelectionParams
from watari.corpus.table import WORKING, undecided
from watari.errors import UserError


def table_of(texts, languages=None) -> pa.Table:
    keys = [hash_text(f"{place}") for place in range(len(texts))]
    languages = languages or ["ja"] * len(texts)
    table = pa.table({"key": keys, "text": pa.array(texts, pa.large_string()), "language": languages})
    for field in WORKING:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(WORKING.names)


def params_of(**given) -> SelectionParams:
    return SelectionParams(**({"keep": {"share": 0.5}, "min_target": 1} | given))


def scored_and_chosen(pieces, target, params, seed=0):
    raw = selection.merged(selection.counts(piece, params) for piece in pieces)
    ratios = selection.ratios(raw, selection.counts(target, params), params)
    scored = [selection.score(piece, ratios, params, seed=seed) for piece in pieces]
    keys = [keys_of(piece.column("key")) for piece in pieces]
    return scored, selection.choose(scored, keys, ratios.languages, params)


def kept_keys(pieces, choice) -> set[str]:
    return {
        key
        for piece, mask in zip(pieces, choice.kept, strict=True)
        for key, kept in zip(piece.column("key").to_pylist(), mask, strict=True)
        if kept
    }


@pytest.fixture(scope="module")
def planted(test_data) -> tuple[list[str], list[str], list[str]]:
    """(target, planted, others): paragraphs of JSQuAD's validation and test sets, stretches of novels and essays."""

    def paragraphs(part):
        with gzip.open(test_data / f"jglue/jsquad_{part}-v1.3.json.gz", "rt", encoding="utf-8") as handle:
            articles = json.load(handle)["data"]
        return sorted({p["context"].split("[SEP]")[-1].strip() for a in articles for p in a["paragraphs"]})

    with gzip.open(test_data / "aozora/docs.jsonl.gz", "rt", encoding="utf-8") as handle:
        texts = [json.loads(line)["text"] for line, _ in zip(handle, range(300), strict=False)]
    others = [
        text[start : start + 180] for text in texts for start in range(0, min(len(text), 2000) - 180, 180)
    ]
    target = paragraphs("valid")
    return target, sorted(set(paragraphs("test")) - set(target))[:299], others


@pytest.mark.parametrize("noise", [0, None])
def test_a_planted_target_is_found(planted, noise):
    target, wanted, others = planted
    params = params_of(keep={"documents": 200}, noise=noise)
    table = table_of(others + wanted)
    _, choice = scored_and_chosen([table], table_of(target), params)
    (kept,) = choice.kept
    assert kept.sum() == 200
    assert kept[len(others) :].sum() >= 190


def test_length_does_not_decide(planted, test_data):
    # Long encyclopaedia pages resemble the target a little, in every sentence: in the sum that counts for more than a
    # paragraph that resembles it much.
    target, wanted, others = planted
    with gzip.open(test_data / "kyoto-wiki/docs.jsonl.gz", "rt", encoding="utf-8") as handle:
        pages = ["".join(json.loads(line)["ja"]) for line, _ in zip(handle, range(1000), strict=False)]
    pages += others
    table = table_of(pages + wanted)
    found = {}
    for normalise in ("length", "none"):
        params = params_of(keep={"documents": 50}, noise=0, normalise=normalise, buckets=10_000)
        _, choice = scored_and_chosen([table], table_of(target), params)
        found[normalise] = int(choice.kept[0][len(pages) :].sum())
    assert found["length"] >= 48 > 44 > found["none"]


def test_the_sample_depends_on_rows_alone(planted):
    target, wanted, others = planted
    table = table_of((others + wanted)[-900:])
    params = params_of(keep={"share": 0.3}, noise=0.1)
    whole = scored_and_chosen([table], table_of(target), params)
    expected = kept_keys([table], whole[1])
    mixed = table.take(np.random.default_rng(3).permutation(table.num_rows))
    pieces = [mixed.slice(0, 1), mixed.slice(1, 0), mixed.slice(1, 500), mixed.slice(501)]
    _, parted = scored_and_chosen(pieces, table_of(target[::-1]), params)
    assert kept_keys(pieces, parted) == expected
    assert parted.languages == whole[1].languages
    _, other_seed = scored_and_chosen([table], table_of(target), params, seed=1)
    assert kept_keys([table], other_seed) != expected


def test_numba_and_numpy_give_the_same_bytes(planted, monkeypatch):
    target, wanted, others = planted
    table = table_of((others + wanted)[-500:])
    found = []
    for kernels in ("numba", "numpy"):
        monkeypatch.setenv("WATARI_KERNELS", kernels)
        (scored,), choice = scored_and_chosen([table], table_of(target), params_of())
        found.append((scored.score.tobytes(), choice.kept[0].tobytes()))
    assert found[0] == found[1]


def test_noise_makes_a_sample_and_zero_takes_the_best(planted):
    target, wanted, others = planted
    table = table_of((others + wanted)[-900:])
    (exact,), best = scored_and_chosen([table], table_of(target), params_of(noise=0, keep={"share": 0.3}))
    (_,), sample = scored_and_chosen([table], table_of(target), params_of(noise=0.05, keep={"share": 0.3}))
    (_,), chance = scored_and_chosen([table], table_of(target), params_of(noise=1e6, keep={"share": 0.3}))
    ranked = np.argsort(-exact.score, kind="stable")[:270]
    assert set(ranked) == set(np.flatnonzero(best.kept[0]))
    agree = [int((best.kept[0] & choice.kept[0]).sum()) for choice in (best, sample, chance)]
    assert agree[0] == 270 > agree[1] > agree[2]
    # By chance alone: 30 % of 270, give or take five standard deviations.
    assert abs(agree[2] - 81) < 40


def test_noise_is_gumbel():
    noise = selection.gumbel_noise([hash_text(str(number)) for number in range(20_000)], 0)
    assert abs(noise.mean() - 0.5772) < 0.05
    assert abs(noise.var() - np.pi**2 / 6) < 0.1


def test_other_languages_are_left_as_they_are():
    texts = ["これは日本語の文です。" * 3, "猫がいる。" * 9, "This stays.", "And this one.", "여기"]
    table = table_of(texts, ["ja", "ja", "en", "en", None])
    params = params_of(keep={"ja": {"documents": 1}}, noise=0)
    (scored,), choice = scored_and_chosen([table], table_of(["猫が好き。猫がいる。"]), params)
    assert choice.kept[0].tolist() == [False, True, True, True, True]
    assert scored.language.tolist() == [0, 0, -1, -1, -1]
    thresholds = choice.thresholds
    out = selection.apply(undecided(table), scored, choice.kept[0], thresholds)
    assert out.column("reason").to_pylist() == ["not selected", None, None, None, None]
    assert out.column("value")[0].as_py() <= out.column("threshold")[0].as_py() == scored.score[0]
    assert choice.languages[0].documents == 2
    assert choice.languages[0].kept_documents == 1


def test_each_language_has_its_own_target_and_amount():
    ja = [f"猫{'が' * n}いる。" for n in range(20)]
    en = [f"The cat number {n} sat." for n in range(30)]
    table = table_of(ja + en, ["ja"] * 20 + ["en"] * 30)
    target = table_of(["猫がいる。", "cat"], ["ja", "en"])
    params = params_of(keep={"ja": {"share": 0.25}, "en": {"characters": 100}})
    _, choice = scored_and_chosen([table], target, params)
    by = {chosen.language: chosen for chosen in choice.languages}
    assert choice.kept[0][:20].sum() == by["ja"].kept_documents == 5
    assert sum(len(text) for text, kept in zip(en, choice.kept[0][20:], strict=True) if kept) == (
        by["en"].kept_characters
    )
    assert 100 - max(map(len, en)) < by["en"].kept_characters <= 100


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    budget=st.integers(1, 500),
    unit=st.sampled_from(["documents", "characters"]),
    levels=st.integers(1, 5),
    split=st.integers(0, 40),
)
def test_amounts_are_met_within_one_document(sizes, budget, unit, levels, split):
    # Few levels of weight: most documents are tied, and the keys must decide.
    params = params_of(keep={unit: budget})
    texts = ["あ" * size for size in sizes]
    table = table_of(texts)
    values = np.array([hash(size * 7) % levels for size in sizes], np.float64) - 2
    characters = np.array(sizes, np.int64)
    whole = selection.Scored(values, np.zeros(len(sizes), np.int16), characters)
    rows = np.arange(len(sizes))
    keys = keys_of(table.column("key"))
    parts = [rows[:split], rows[split:]]
    choice = selection.choose(
        [whole.take(part) for part in parts], [keys[part] for part in parts], ["ja"], params
    )
    kept = np.concatenate(choice.kept)
    weights = np.ones(len(sizes), np.int64) if unit == "documents" else characters
    order = sorted(rows, key=lambda row: (-values[row], keys[row].tobytes()))
    left, expected = budget, []
    for row in order:
        left -= weights[row]
        if left < 0:
            break
        expected.append(row)
    if weights.sum() <= budget:
        expected = list(rows)
    assert sorted(expected) == np.flatnonzero(kept).tolist()
    (chosen,) = choice.languages
    assert chosen.short == (weights.sum() < budget)
    if not kept.all():
        assert values[~kept].max() <= chosen.threshold <= values[kept].min(initial=np.inf)


@given(texts=st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), max_size=8))
def test_any_text_has_a_weight(texts):
    params = params_of()
    table = table_of(texts)
    target = table_of(["日本語の見本。"])
    raw = selection.merged([selection.counts(table, params), selection.counts(target, params)])
    ratios = selection.ratios(raw, selection.counts(target, params), params)
    scored = selection.score(table, ratios, params, seed=0)
    assert np.isfinite(scored.score).all()
    assert (scored.score[[not text for text in texts]] == selection.EMPTY).all()
    assert scored.characters.tolist() == [len(text or "") for text in texts]


def test_counts_add_up_and_can_be_saved(tmp_path):
    params = params_of(buckets=1000)
    table = table_of(["日本", "", "a cat", None], ["ja", "ja", "en", None])
    whole = selection.counts(table, params)
    assert whole.characters == {"ja": 2, "en": 5, "und": 0}
    assert whole.grams["en"].sum() == 9
    parts = selection.merged(selection.counts(table.slice(row, 1), params) for row in (3, 1, 0, 2))
    parts.save(tmp_path / "counts.npz")
    again = Counts.load(tmp_path / "counts.npz")
    assert again.documents == dict(whole.documents)
    assert again.characters == dict(whole.characters)
    assert all((again.grams[name] == whole.grams[name]).all() for name in whole.grams)
    ratios = selection.ratios(whole, selection.counts(table.slice(0, 1), params), params)
    ratios.save(tmp_path / "ratios.npz")
    loaded = Ratios.load(tmp_path / "ratios.npz")
    assert loaded.languages == ("ja",)
    assert (loaded.weights[0] == ratios.weights[0]).all()


def test_ratios_are_the_log_of_two_smoothed_shares():
    params = params_of(buckets=1000, smoothing=10)
    raw = selection.counts(table_of(["ああああい"]), params)
    target = selection.counts(table_of(["いいう"]), params)
    (weights,) = selection.ratios(raw, target, params).weights
    at_large = (raw.grams["ja"] + 1) / (9 + 1000)
    wanted = (target.grams["ja"] + 10 * at_large) / (5 + 10)
    assert np.allclose(weights * selection.UNIT, np.log(wanted / at_large), atol=1e-5)
    # Only the target has it; both have it, the corpus less; only the corpus has it.
    assert weights.argmax() in np.flatnonzero(target.grams["ja"] > 0)
    assert weights[(raw.grams["ja"] > 0) & (target.grams["ja"] == 0)].max() < 0


@pytest.mark.parametrize(
    ("target", "languages", "keep", "message"),
    [
        ([], [], {"share": 0.5}, "the target is empty"),
        (["", None], ["ja", "ja"], {"share": 0.5}, "the target is empty"),
        (["短い"], ["ja"], {"share": 0.5}, "2 characters in 'ja', 100 are wanted"),
        (["長い文" * 99, "short"], ["ja", "en"], {"share": 0.5}, "5 characters in 'en'"),
        (["長い文" * 99], ["ja"], {"ja": {"share": 0.5}, "en": {"share": 1}}, "no document in it"),
        (["長い文" * 99], ["ja"], {"en": {"share": 0.5}}, "`keep` does not name"),
    ],
)
def test_a_target_that_nothing_can_resemble_is_refused(target, languages, keep, message):
    params = params_of(keep=keep, min_target=100)
    counts = selection.counts(table_of(target, languages), params)
    with pytest.raises(UserError, match=message):
        selection.check_target(counts, params)
    with pytest.raises(UserError, match=message):
        selection.ratios(selection.counts(table_of(["何か"]), params), counts, params)


def test_a_corpus_without_the_targets_language_is_refused():
    params = params_of()
    raw = selection.counts(table_of(["english only"], ["en"]), params)
    target = selection.counts(table_of(["日本語"]), params)
    with pytest.raises(UserError, match="the corpus none \\(it has en\\)"):
        selection.ratios(raw, target, params)


def test_the_target_is_read_from_files(tmp_path):
    rows = [{"text": "ｶﾀｶﾅと日本語の文章。"}, {"text": "An English sentence.", "language": "en"}]
    path = tmp_path / "target.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    params = params_of(target={"path": str(path)})
    found = selection.target_counts(params, seed=0, more=[table_of(["もう一つ。"])])
    assert sorted(found.characters) == ["en", "ja"]
    assert found.documents["ja"] == 2
    path.write_text('{"text": "日本"}\nnot json\n', "utf-8")
    with pytest.raises(UserError, match="line 2"):
        selection.target_counts(params, seed=0)
    with pytest.raises(UserError, match="the target is empty"):
        selection.target_counts(params_of(), seed=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep": {}},
        {"keep": {"share": 0.5, "documents": 3}},
        {"keep": {"share": 1.5}},
        {"noise": -1},
        {"noise": float("nan")},
        {"smoothing": 0},
        {"ngrams": 0},
        {"buckets": 3},
        {"surprise": 1},
    ],
)
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        params_of(**wrong)
