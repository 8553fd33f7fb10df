"""`tokenizer.trim`: what is kept works as it did, token for token, and what is dropped is still spelled.

T1 … T4 as in `watari.tokenizer.trimming.proof`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from made_artifacts import as_input, documents
from many_scripts import DROPPED, ENGLISH, KEPT, KOREAN, RUSSIAN, SPECIAL, TEMPLATE, make_byte_level
from small_japanese import ODD
from tiny_llama import make_tokenizer
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.outside import packaged_file
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.errors import CheckFailed, Interrupted, UserError
from watari.pretrained import load_tokenizer
from watari.pretrained.encoding import encode_documents
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.sentencepiece import ModelType, PieceKind, SpmModel, read_spm
from watari.pretrained.trimmed import Trim, folder_digest, read_trim
from watari.tokenizer import trim
from watari.tokenizer.opening import open_base
from watari.tokenizer.reference import JsonReference, SpmReference
from watari.tokenizer.texts import Text
from watari.tokenizer.trimming import choice
from watari.tokenizer.trimming.characters import dropping, keeping, unwanted_in
from watari.tokenizer.trimming.forms import Form, JsonForm, SpmForm, open_form
from watari.tokenizer.trimming.joining import joined

TEXTS = [Text(f"t{n}", text, "mul") for n, text in enumerate([*KEPT, *DROPPED])]


def mistral(folder: Path, name: str = "mistral-v1", **settings: Any) -> Path:
    write_fast_tokenizer(read_spm(packaged_file(f"package://{name}")), folder, settings=settings)
    return folder


@dataclass
class Made:
    """A trimmed tokenizer, as other people's libraries read it, and its base."""

    base: Path
    folder: Path
    trim: Trim

    def __post_init__(self) -> None:
        self.before, self.after = open_base(str(self.base)), open_base(str(self.folder))
        self.table = self.trim.new_ids()
        self.fast = load_tokenizer(self.folder)


def made(base: Path, out: Path, texts: Iterable[Text] = (), **asked: Any) -> Made:
    trim.trim_tokenizer(base, out, trim.Asked(**{"fuzz": 200, **asked}), list(texts))
    return Made(base, out, read_trim(out))


@pytest.fixture(scope="module")
def spm(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("trim-spm")
    return made(mistral(root / "base", "mistral-v3"), root / "out", drop=["ko", "ru"])


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Trimmed to what a little text uses: closure has work to do."""
    root = tmp_path_factory.mktemp("trim-few")
    texts = [text for text in TEXTS if text.text in KEPT]
    return made(mistral(root / "base"), root / "out", texts, min_frequency=1, align=None)


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Byte-level; words that are entries are taken whole, special tokens stand behind the vocabulary."""
    root = tmp_path_factory.mktemp("trim-bytes")
    return made(make_byte_level(root / "base"), root / "out", drop=["ko", "ru", "ar"], align=8)


@pytest.fixture(scope="module")
def joined_bytes(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Byte-level; words come about by joins only, special tokens stand before the vocabulary."""
    root = tmp_path_factory.mktemp("trim-joined")
    base = make_byte_level(root / "base", first=True, ignore_merges=False)
    return made(base, root / "out", drop=["ko", "ru", "ar"], align=8)


ALL = ["spm", "few", "bytewise", "joined_bytes"]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<["), max_size=40)
WORDS = st.lists(
    st.sampled_from([word for text in [*KEPT, *DROPPED] for word in (text[:5], text[3:9], text[-4:], " ")]),
    max_size=12,
).map("".join)
SOME_TEXT = st.one_of(ANY_TEXT, WORDS, st.text(st.sampled_from(ODD.replace("<", "").replace("[", ""))))


def check_text(made: Made, text: str) -> bool:
    """T1, T2 and T4 on one text; True if the promise of T1 is about it."""
    [old], [new] = made.before.encode([text]), made.after.encode([text])
    moved = made.table[old]
    if (moved >= 0).all():
        assert new.tolist() == moved.tolist(), text
    assert made.after.decode(new.tolist()) == made.before.decode(old.tolist()), text
    assert encode_documents(made.fast, [text])[0] == new.tolist(), text
    return bool((moved >= 0).all())


@pytest.mark.parametrize("which", ALL)
def test_t1_t2_t4_on_texts(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    kept = [text for text in KEPT if "α" not in text]
    if which == "few":
        kept = [*KEPT]
    assert all(check_text(made, text) for text in kept)
    for text in (*KOREAN, *RUSSIAN):
        assert not check_text(made, text)
    for text in ("", " ", "  \n\t", "a", "🙂\u200d", "\0", *(c for c in ODD)):
        check_text(made, text)


@settings(max_examples=150)
@given(SOME_TEXT)
def test_t1_t2_t4_on_any_text_sentencepiece(spm: Made, few: Made, text: str) -> None:
    check_text(spm, text)
    check_text(few, text)


@settings(max_examples=150)
@given(SOME_TEXT)
def test_t1_t2_t4_on_any_text_bytes(bytewise: Made, joined_bytes: Made, text: str) -> None:
    check_text(bytewise, text)
    check_text(joined_bytes, text)


@settings(max_examples=60)
@given(SOME_TEXT)
def test_slow_references_agree(few: Made, bytewise: Made, text: str) -> None:
    spm = SpmReference(read_spm(few.folder / "tokenizer.model"))
    assert spm.encode([text])[0].tolist() == few.after.encode([text])[0].tolist()
    content = json.loads((bytewise.folder / "tokenizer.json").read_text("utf-8"))
    assert JsonReference(content).encode([text])[0].tolist() == bytewise.after.encode([text])[0].tolist()


@pytest.mark.parametrize("which", ALL)
def test_every_kept_piece_comes_about_as_in_the_base(which: str, request: pytest.FixtureRequest) -> None:
    """The closure, from outside: whatever the base makes of a kept piece's text alone, in kept ids, stays."""
    made = request.getfixturevalue(which)
    pieces = made.before.pieces()
    surfaces = made.before.surfaces()
    kept = [index for index in made.trim.kept if surfaces[index] is not None]
    old = made.before.spelled([pieces[index] for index in kept])
    new = made.after.spelled([pieces[index] for index in kept])
    reached = 0
    for index, before, after in zip(kept, old, new, strict=True):
        moved = made.table[before]
        if (moved >= 0).all():
            assert after == moved.tolist(), pieces[index]
        if before == [index]:
            assert after == [made.table[index]], pieces[index]
            reached += 1
    assert reached > len(kept) / 2, "single bytes are no text, all else is reached"


@pytest.mark.parametrize("which", ALL)
def test_t3_order_pieces_and_specials(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    kept = made.trim.kept
    assert kept == sorted(set(kept))
    assert made.trim.base_digest == folder_digest(made.base)[0]
    old, new = made.before.pieces(), made.after.pieces()
    assert new == [old[index] for index in kept]
    assert len(new) == made.trim.vocabulary < made.trim.base_vocabulary
    assert (np.diff(made.table[made.table >= 0]) == 1).all()
    base = load_tokenizer(made.base)
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        assert getattr(made.fast, name) == getattr(base, name)
        if getattr(base, name) is not None:
            assert getattr(made.fast, f"{name}_id") == made.table[getattr(base, f"{name}_id")]
    assert made.fast.all_special_tokens == base.all_special_tokens
    ids = made.fast("a cat")["input_ids"]
    assert ids == made.table[base("a cat")["input_ids"]].tolist()
    assert ids[0] == made.fast.bos_token_id


def test_pieces_keep_scores_and_kinds(spm: Made) -> None:
    old, new = read_spm(spm.base / "tokenizer.model"), read_spm(spm.folder / "tokenizer.model")
    assert new.pieces == tuple(old.pieces[index] for index in spm.trim.kept)
    assert (new.unk, new.bos, new.eos) == (old.unk, old.bos, old.eos) == (0, 1, 2)
    kinds = {piece.kind for piece in old.pieces}
    for kind in kinds - {PieceKind.NORMAL}:
        assert [p for p in old.pieces if p.kind is kind] == [p for p in new.pieces if p.kind is kind]


@pytest.mark.parametrize("which", ALL)
def test_what_is_never_dropped(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    dropped = {index for index in range(made.trim.base_vocabulary) if made.table[index] < 0}
    surfaces = made.before.surfaces()
    for index in dropped:
        surface = surfaces[index]
        assert surface is not None, "special and added tokens stay"
        assert len(surface) > 1, "bytes and single ASCII characters stay"
        if made.before.family == "sentencepiece":
            assert surface.strip(b" "), "runs of blanks stay"


@pytest.mark.parametrize("which", ["spm", "bytewise", "joined_bytes"])
def test_scripts_dropped_are_exactly_those_asked(which: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(which)
    surfaces = made.before.surfaces()
    left = 0
    for index, surface in enumerate(surfaces):
        text = (surface or b"").decode("utf-8", "ignore")
        holds = any("\uac00" <= c <= "\ud7ff" or "\u0400" <= c <= "\u052f" for c in text)
        arabic = any("\u0600" <= c <= "\u06ff" for c in text)
        if holds:
            left += made.table[index] >= 0
        elif surface is not None and not arabic and made.table[index] < 0:
            assert len(text.encode()) < len(surface), "only a character's beginning may go beside"
    metrics = json.loads((made.folder / "certificate.json").read_text("utf-8"))
    assert metrics["holds"] is True
    assert left <= 64, "what is left is for alignment"


def test_characters_of_a_rule() -> None:
    drop = dropping(["ko", "0400-052F"])
    assert [drop(ord(c)) for c in "가ㄱПёaあ、"] == ["ko", "ko", "0400-052F", "0400-052F", None, None, None]
    keep = keeping(["en", "ja"])
    kept = "Az09é¿Ⅻ½™€“”—…🙂→∑ⁿ℃ﬁＡ１あア漢々ー。、「」｡ﾃﾞ\n\t \u0301\u200d\ufe0f𝐀"
    assert [c for c in kept if keep(ord(c))] == []
    gone = {"가": "hangul", "П": "cyrillic", "α": "greek", "ع": "arabic", "٣": "arabic", "๓": "thai", "अ": "devanagari", "א": "hebrew", "۳": "arabic"}  # fmt: skip
    assert {c: keep(ord(c)) for c in gone} == gone
    assert keeping([])(ord("漢")) == "han"
    assert keeping(["0370-03FF"])(ord("α")) is None


def test_tokens_of_a_rule_by_their_bytes() -> None:
    rule = dropping(["ko", "ru"])
    assert unwanted_in("▁Привет".encode(), rule) == "ru"
    assert unwanted_in(" a가".encode(), rule) == "ko"
    assert unwanted_in(b"abc", rule) is None
    # EA B0: begins U+AC00 … U+AC3F, all Hangul. ED 9F: U+D7C0 … U+D7FF. EA A5: U+A940 … U+A97F, not all Korean's.
    assert unwanted_in(b"\xea\xb0", rule) == "ko"
    assert unwanted_in(b" \xed\x9f", rule) == "ko"
    assert unwanted_in(b"\xea\xa5", rule) is None
    # E0 A4: U+0900 … U+093F. A part of them is not enough.
    assert unwanted_in(b"\xe0\xa4", dropping(["0900-0910"])) is None
    assert unwanted_in(b"\xe0\xa4", dropping(["hi"])) == "hi"
    # The end of a character, and one byte of the beginning, may be anybody's.
    assert unwanted_in(b"\xb0\x80", rule) is None
    assert unwanted_in(b"a\xd0", rule) is None
    assert unwanted_in(b"\x80\xd0\x9f", rule) == "ru"
    assert unwanted_in(b"\xff\xfe", rule) is None
    han = dropping(["20000-3FFFF"])
    assert unwanted_in(b"\xf0\xa0\xae", han) == "20000-3FFFF"
    assert unwanted_in(b"\xf0\x9f\x98", han) is None


def test_without_closure_or_order_the_proof_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = mistral(tmp_path / "base")
    texts = [Text("a", "The international government understands.", "en")]
    asked = trim.Asked(min_frequency=1, fuzz=0, align=None)
    honest = SpmForm.needs
    with monkeypatch.context() as patch:
        patch.setattr(SpmForm, "needs", lambda self, index: {index})
        with pytest.raises(CheckFailed, match="keeps its ids, renumbered: it does not, in 1 of 1 cases"):
            trim.trim_tokenizer(base, tmp_path / "one", asked, texts)
    with monkeypatch.context() as patch:
        # Chosen without closure, but the proof knows better.
        patch.setattr(choice, "choose", lambda form, against, **_: _without_closure(form, against))
        with pytest.raises(CheckFailed, match="whatever a kept piece is made from is kept: it does not"):
            trim.trim_tokenizer(base, tmp_path / "two", asked, texts)
        certificate = json.loads((tmp_path / "two" / "certificate.json").read_text("utf-8"))
        assert certificate["holds"] is False
        failed = [item for item in certificate["invariants"] if not item["holds"]]
        assert failed[0]["name"] == "closed"
        assert "needs" in failed[0]["counter_example"]
    assert SpmForm.needs is honest

    content = make_byte_level(tmp_path / "bytes")
    with monkeypatch.context() as patch:
        right = JsonForm.kept

        def turned(self: JsonForm, ids: list[int]) -> JsonForm:
            found = right(self, ids)
            found.content["model"]["merges"].reverse()
            return found

        patch.setattr(JsonForm, "kept", turned)
        with pytest.raises(CheckFailed, match="joins are the base's, in their order"):
            trim.trim_tokenizer(content, tmp_path / "three", trim.Asked(drop="ru", fuzz=0), TEXTS)


def _without_closure(form: Form, against: dict[int, str]) -> choice.Choice:
    kept = [index for index in range(len(form)) if index not in against]
    return choice.Choice(kept, dict(against), [], [])


def test_needs_are_the_way_to_a_piece() -> None:
    assert joined("abcab", lambda a, b: {"ab": 2, "bc": 1, "abc": 3, "abcab": 4}.get(a + b)) == (
        ["bc", "ab", "abc", "abcab"],
        ["abcab"],
    )
    assert joined("aaaaa", lambda a, b: {"aa": 1.0}.get(a + b)) == (["aa", "aa"], ["aa", "aa", "a"])
    assert joined("", lambda a, b: 1) == ([], [])


def test_closure_keeps_what_is_needed_and_says_how_many(few: Made, tmp_path: Path) -> None:
    texts = [Text("a", "The international government understands.", "en")]
    trimming = trim.trim_tokenizer(
        few.base, tmp_path / "out", trim.Asked(min_frequency=1, fuzz=50, align=None), texts
    )
    told = trim.metrics(trimming, texts)
    assert told["needed_by_others"] == len(trimming.choice.needed) > 3
    used = {int(i) for ids in few.before.encode([text.text for text in texts]) for i in ids}
    pieces = few.before.pieces()
    assert used <= set(trimming.trim.kept)
    assert not used & set(trimming.choice.needed)
    assert all(len(pieces[i]) < 14 for i in trimming.choice.needed)
    assert told["characters_per_token"]["before"] == told["characters_per_token"]["after"]
    assert told["vocabulary_before"] - told["vocabulary"] == told["dropped"]["all"]
    assert told["dropped"]["by_reason"] == {"unused": told["dropped"]["all"]}
    assert told["parameters_saved"] == {"hidden": 4096, "a_table": told["dropped"]["all"] * 4096}


@pytest.mark.parametrize("counted", [False, True])
def test_alignment_keeps_the_most_frequent_or_the_lowest_ids(tmp_path: Path, counted: bool) -> None:
    base = make_byte_level(tmp_path / "base")
    texts = [Text("r", " ".join(RUSSIAN[1:]), "ru")] if counted else []
    plain = trim.trim_tokenizer(base, tmp_path / "a", trim.Asked(drop=["ru"], align=None, fuzz=20), texts)
    aligned = trim.trim_tokenizer(base, tmp_path / "b", trim.Asked(drop=["ru"], align=32, fuzz=20), texts)
    assert aligned.trim.vocabulary % 32 == 0
    assert 0 < aligned.trim.vocabulary - plain.trim.vocabulary < 32
    assert set(plain.trim.kept) < set(aligned.trim.kept)
    filled = aligned.choice.filled
    assert set(filled) == set(aligned.trim.kept) - set(plain.trim.kept)
    if not counted:
        # Pieces are made from earlier ones, so that the lowest ids never wait.
        assert filled == sorted(plain.choice.dropped)[: len(filled)]
    else:
        counts = trim_counts(plain.base, texts)
        best = max(plain.choice.dropped, key=lambda index: (counts[index], -index))
        assert best in filled


def trim_counts(form: Form, texts: list[Text]) -> dict[int, int]:
    found = dict.fromkeys(range(len(form)), 0)
    for ids in form.encode([text.text for text in texts]):
        for index in ids.tolist():
            found[index] += 1
    return found


def test_an_extended_tokenizer_can_be_trimmed(tmp_path: Path) -> None:
    from watari.pretrained.graft import Graft, write_graft
    from watari.tokenizer.spm import SpmBpe

    base = SpmBpe("mistral", read_spm(packaged_file("package://mistral-v1")))
    pieces = ["東京", "東京駅", "東京駅の", "女の"]
    extended = base.extended(pieces)
    extended.write(tmp_path / "extended", base=len(base))
    parents = base.spelled(pieces)
    graft = Graft(
        language="ja", base_digest=base.digest(), base_vocabulary=len(base), pieces=pieces,
        ranks=[0, 1, 2, 3], parents=parents, frequency=[1] * 4, first_frequency=[1] * 4,
    )  # fmt: skip
    write_graft(graft, tmp_path / "extended")
    found = made(tmp_path / "extended", tmp_path / "out", TEXTS, drop=["ko", "ru"])
    for text in KEPT:
        check_text(found, text)
    assert not (tmp_path / "out" / "graft.json").exists(), "its ids are not those of the base any more"
    [ids] = found.after.encode(["東京駅の女の子"])
    assert "東京駅の" in [found.after.pieces()[i] for i in ids]


def test_files_that_go_along_and_those_that_do_not(tmp_path: Path) -> None:
    base = make_byte_level(tmp_path / "base", template=TEMPLATE)
    for name in ("vocab.json", "merges.txt", "README.md"):
        (base / name).write_text("{}")
    (base / "special_tokens_map.json").write_text('{"bos_token": "<|begin|>"}')
    found = made(base, tmp_path / "out", drop="ko")
    names = {path.name for path in found.folder.iterdir()}
    assert {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "trim.json",
        "certificate.json",
    } <= names
    assert not names & {"vocab.json", "merges.txt", "README.md"}, "they would tell of the base's ids"
    config = json.loads((found.folder / "tokenizer_config.json").read_text("utf-8"))
    assert config["chat_template"] == TEMPLATE
    ids = {token["content"]: int(index) for index, token in config["added_tokens_decoder"].items()}
    assert ids == {text: found.fast.convert_tokens_to_ids(text) for text in SPECIAL}
    # Named by its file, what lies beside it goes along all the same.
    again = made(base / "tokenizer.json", tmp_path / "again", drop="ko")
    assert digest_of(list_files(again.folder)) == digest_of(list_files(found.folder))
    messages = [{"role": "user", "content": "hello"}]
    rendered = found.fast.apply_chat_template(messages, return_dict=False)
    expected = load_tokenizer(base).apply_chat_template(messages, return_dict=False)
    assert rendered == found.table[expected].tolist()


def test_a_template_that_needs_a_dropped_token_is_refused(tmp_path: Path) -> None:
    template = "{% set who = 'Привет' %}{% for m in messages %}{{ who if m.role == 'user' else '' }}{{ m.content }}{% endfor %}"
    base = make_byte_level(tmp_path / "base", template=template)
    with pytest.raises(
        UserError, match=r"the chat template of base writes '.+', which would be left out \(ru\)"
    ):
        made(base, tmp_path / "out", drop=["ru"])
    made(base, tmp_path / "out2", drop=["ko"])
    # Too seldom in the text is no reason to break the template: its tokens stay.
    seldom = make_byte_level(
        tmp_path / "seldom", template="{{ '### The window:\n' }}{{ messages[0].content }}"
    )
    found = made(seldom, tmp_path / "out3", [Text("a", "1998", "en")], min_frequency=1, align=None)
    assert check_text(found, "### The window:\n")
    (seldom / "chat_template.jinja").write_text("{{ broken")
    with pytest.raises(UserError, match="chat template of seldom cannot be read: line 1"):
        made(seldom, tmp_path / "out4", drop=["ru"])


def test_a_tokenizer_json_with_byte_fallback(tmp_path: Path) -> None:
    make_tokenizer(tmp_path / "base", vocabulary=420)
    texts = [Text("a", "Once upon a time there was a little girl.", "en")]
    trim.trim_tokenizer(tmp_path / "base", tmp_path / "out", trim.Asked(min_frequency=1, align=8), texts)
    before, after = open_form(tmp_path / "base", "b"), open_form(tmp_path / "out", "o")
    assert isinstance(after, JsonForm)
    assert len(after) % 8 == 0
    table = read_trim(tmp_path / "out").new_ids()
    for text in [*KEPT, *DROPPED, texts[0].text]:
        [old], [new] = before.encode([text]), after.encode([text])
        assert after.decode(new.tolist()) == before.decode(old.tolist())
        if (table[old] >= 0).all():
            assert new.tolist() == table[old].tolist()
    assert (table[before.encode([texts[0].text])[0]] >= 0).all()


def test_refusals_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="drop and keep exclude one another"):
        trim.Asked(drop=["ko"], keep=["ja"])
    with pytest.raises(ValidationError, match="nothing says what to leave out"):
        trim.Asked()
    with pytest.raises(ValidationError, match="'xx' is neither a language with a pack nor a range"):
        trim.Asked(drop=["xx"])
    with pytest.raises(ValidationError, match="'en' is neither"):
        trim.Asked(drop=["en"])
    with pytest.raises(ValidationError, match="from 052F to 0400"):
        trim.Asked(drop=["052F-0400"])
    with pytest.raises(ValidationError, match="min_frequency counts tokens in `text`"):
        trim.Params(base="b", min_frequency=2)
    assert trim.Asked(drop="ko").drop == ["ko"]
    assert trim.Asked(keep=["en", "fr"]).keep == ["en", "fr"]

    base = make_byte_level(tmp_path / "base")
    with pytest.raises(UserError, match="nothing of base is left out: no token holds what is unwanted"):
        made(base, tmp_path / "out", drop=["th"])
    with pytest.raises(UserError, match="tokens are unwanted, and alignment to 4096 keeps them all"):
        made(base, tmp_path / "out", drop=["ko"], align=4096)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no tokenizer in this folder"):
        made(tmp_path / "none", tmp_path / "out", drop=["ko"])
    unigram = read_spm(packaged_file("package://mistral-v1"))
    (tmp_path / "unigram").mkdir()
    (tmp_path / "unigram" / "tokenizer.model").write_bytes(_as_unigram(unigram))
    with pytest.raises(UserError, match="a SentencePiece Unigram model is not supported"):
        made(tmp_path / "unigram", tmp_path / "out", drop=["ko"])
    content = {"model": {"type": "Unigram", "vocab": [["a", 0.0]]}, "added_tokens": []}
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="a Unigram model is not supported"):
        made(tmp_path / "json", tmp_path / "out", drop=["ko"])


def _as_unigram(model: SpmModel) -> bytes:
    assert model.model_type is ModelType.BPE
    at = model.data.index(b"\x18\x02", len(model.data) - 2000)
    return model.data[:at] + b"\x18\x01" + model.data[at + 2 :]


def test_trim_json_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="do not rise"):
        Trim(base_digest="x", base_vocabulary=4, kept=[0, 2, 1])
    with pytest.raises(ValidationError, match="outside"):
        Trim(base_digest="x", base_vocabulary=4, kept=[0, 4])
    assert Trim(base_digest="x", base_vocabulary=4, kept=[0, 2]).new_ids().tolist() == [0, -1, 1, -1]
    with pytest.raises(UserError, match=r"was not made by tokenizer\.trim"):
        read_trim(tmp_path)
    (tmp_path / "trim.json").write_text("{}")
    with pytest.raises(UserError, match="not readable"):
        read_trim(tmp_path)


def run(base: Path, out: Path, texts: list[tuple[str, str]], **params: Any) -> StageResult:
    out.mkdir(parents=True, exist_ok=True)
    feeds = {"base": [as_input("base", base, Kind.TOKENIZER)]}
    if texts:
        feeds["text"] = [documents("text", out.with_name(out.name + "-text"), texts)]
    chosen = trim.Params(base="base", text=["text"] if texts else [], **params)
    return trim.run(chosen, Inputs(feeds), out, Silent())


def test_stage_gives_the_same_bytes_again_and_tells_its_figures(tmp_path: Path) -> None:
    base = make_byte_level(tmp_path / "base")
    texts = [("en", text) for text in ENGLISH] + [("ko", text) for text in KOREAN]
    one = run(base, tmp_path / "a" / "out", texts, drop=["ko", "ru"], align=16)
    two = run(base, tmp_path / "b" / "out", texts, drop=["ko", "ru"], align=16)
    same = [digest_of(list_files(tmp_path / name / "out")) for name in "ab"]
    assert same[0] == same[1]
    assert one.metrics == two.metrics
    assert one.metrics["certificate"] == {"holds": True, "checks": 7}
    by_language = one.metrics["characters_per_token"]["by_language"]
    assert by_language["en"]["before"] == by_language["en"]["after"]
    assert by_language["ko"]["before"] > by_language["ko"]["after"]
    assert set(one.metrics["dropped"]["by_reason"]) == {"ko", "ru"}
    assert trim.STAGE.output is Kind.TOKENIZER


def test_stops_when_asked(tmp_path: Path) -> None:
    class Stop(Silent):
        def stop_requested(self) -> bool:
            return True

    inputs = Inputs({"base": [as_input("base", make_byte_level(tmp_path / "base"), Kind.TOKENIZER)]})
    with pytest.raises(Interrupted):
        trim.run(trim.Params(base="base", drop="ko"), inputs, tmp_path / "out", Stop())


@pytest.mark.slow
def test_tekken_in_both_its_forms(tmp_path: Path) -> None:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    base = open_base("tekken")
    base.write(tmp_path / "base", base=len(base))
    native = tmp_path / "native"
    native.mkdir()
    (tmp_path / "base" / "native" / "tekken.json").rename(native / "tekken.json")
    found = made(native, tmp_path / "out", TEXTS, keep=["ja"], fuzz=1000)
    tekken = Tekkenizer.from_file(tmp_path / "out" / "native" / "tekken.json")
    for text in [*KEPT, *DROPPED]:
        check_text(found, text)
        assert tekken.encode(text, bos=False, eos=False) == found.after.encode([text])[0].tolist()


@pytest.mark.data
def test_real_text_of_kept_languages_keeps_its_ids(few: Made, tmp_path: Path, test_data: Path) -> None:
    import gzip

    found = made(few.base, tmp_path / "out", keep=["en", "ja"])
    checked = size = 0
    for name in ("aozora", "en-books"):
        with gzip.open(test_data / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line, _ in zip(lines, range(8), strict=False):
                text = json.loads(line)["text"][:20_000]
                size += len(text)
                checked += check_text(found, text)
    assert size > 100_000
    assert checked >= 14
