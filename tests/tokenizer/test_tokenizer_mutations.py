"""Faults of other people's methods, each made here on purpose: verification must find it, and nothing else.

Facts page on tokenizers, §2 (what others do, and where it breaks) and §8 (mutation tests).
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tiny_extension as tiny
from watari.pretrained import load_tokenizer
from watari.pretrained.fast import splits
from watari.pretrained.sentencepiece import SPACE, Piece, PieceKind
from watari.tokenizer.spm import SpmBpe
from watari.tokenizer.texts import Text
from watari.tokenizer.verify import Sheet, verify

FUZZ = 450


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Mistral's tokenizer in both forms."""
    return tiny.write_spm(tmp_path_factory.mktemp("base"), tiny.mistral())


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sound extension of it."""
    return tiny.write_spm(tmp_path_factory.mktemp("good"), tiny.mistral().extended(tiny.spm_pieces()))


@pytest.fixture(scope="module")
def bytes_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small byte-level tokenizer."""
    return tiny.byte_level(tmp_path_factory.mktemp("bytes"))


@pytest.fixture(scope="module")
def bytes_good(bytes_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sound extension of it."""
    return tiny.extend_byte_level(bytes_base, tmp_path_factory.mktemp("bytes-good"))


def asked(
    base: Path | None,
    extended: SpmBpe,
    folder: Path | None,
    texts: list[Text] | None = None,
    fuzz: int = FUZZ,
) -> Sheet:
    """The sheet of a SentencePiece model against Mistral's."""
    return verify(
        tiny.mistral(),
        extended,
        tiny.texts() if texts is None else texts,
        script=tiny.SCRIPT,
        fuzz=fuzz,
        base_files=base,
        extended_files=folder,
    )


def asked_json(base: Path, folder: Path, texts: list[Text] | None = None) -> Sheet:
    """The sheet of a folder with a tokenizer.json against the base's."""
    return verify(
        tiny.Fast(base, "base"),
        tiny.Fast(folder, "extended"),
        tiny.texts() if texts is None else texts,
        script=tiny.SCRIPT,
        fuzz=FUZZ,
        base_files=base,
        extended_files=folder,
    )


def with_pieces(pieces: list[tuple[str, float]]) -> SpmBpe:
    """Mistral's tokenizer with pieces of any score."""
    return SpmBpe("extended", tiny.mistral().model.extended([Piece(*piece) for piece in pieces]))


@cache
def floor() -> float:
    return min(
        p.score for p in tiny.mistral().model.pieces if p.kind is PieceKind.NORMAL and p.text.strip(SPACE)
    )


def copy(source: Path, out: Path) -> Path:
    shutil.copytree(source, out)
    return out


def change(path: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text("utf-8"))
    edit(content)
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def below(*more: str) -> list[tuple[str, float]]:
    """The sound pieces as they are scored, and more behind them."""
    pieces = [*tiny.spm_pieces(), *more]
    return [(piece, floor() - 1 - rank) for rank, piece in enumerate(pieces)]


def test_nothing_is_found_in_a_sound_extension(base: Path, good: Path) -> None:
    sheet = asked(base, tiny.mistral().extended(tiny.spm_pieces()), good)
    assert sheet.holds
    assert sheet.failed == []
    unasked = [result.name for result in sheet.results if result.holds is None]
    assert unasked == ["chat-template"]


# --- scores ---

MUTANTS: dict[str, tuple[Callable[[], list[tuple[str, float]]], set[str], str, str | int]] = {
    # name: pieces, what must turn red, the check whose counter-example is looked at, and its text (or which sound piece)
    "score 0": (
        lambda: [(piece, 0.0) for piece in tiny.spm_pieces()],
        {"ranked-below"},
        "ranked-below",
        0,
    ),
    "lowest score minus one, which is -1e9": (
        lambda: [(piece, -1e9 - 1 - rank) for rank, piece in enumerate(tiny.spm_pieces())],
        {"ranked-below"},
        "ranked-below",
        1,
    ),
    "curly quotes taken for Japanese": (
        lambda: below("…”"),
        {"strict-pieces", "unchanged"},
        "unchanged",
        "…”",
    ),
    "a line break as a new character": (
        lambda: below("\n"),
        {"strict-pieces", "unchanged"},
        "unchanged",
        "\n",
    ),
    "a piece without a character of the script": (
        lambda: below("zq"),
        {"strict-pieces", "unchanged"},
        "strict-pieces",
        "zq",
    ),
    "a piece that nothing leads to": (lambda: below("東京都庁"), {"reachable"}, "reachable", "東京都庁"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_pieces_and_scores(name: str) -> None:
    pieces, red, check, example = MUTANTS[name]
    text = example if isinstance(example, str) else tiny.spm_pieces()[example]
    sheet = asked(None, with_pieces(pieces()), None)
    assert set(sheet.failed) == red
    found = sheet.result(check).counter_example
    assert found is not None
    assert text in found.text
    assert len(found.text) <= len(text) + 1


def test_scores_that_tie_make_the_forms_differ(base: Path, tmp_path: Path) -> None:
    # Above -1e9 float32 has only every 64th number: sentencepiece joins the leftmost of the two, the merge list the
    # first. Half of Purason's pieces would do (facts: tokenizer §2).
    extended = with_pieces(
        [("東京", -1e9 - 1), ("京駅", -1e9 - 2), ("駅の", -1e9 - 3), ("の前", -1e9 - 4)][::-1]
    )
    sheet = asked(base, extended, tiny.write_spm(tmp_path, extended))
    assert {"ranked-below", "agree-tokenizers"} <= set(sheet.failed)
    assert set(sheet.failed) <= {
        "ranked-below",
        "agree-tokenizers",
        "agree-transformers",
        "agree-reference-json",
    }


def test_a_new_piece_that_outranks_the_base_breaks_its_tokens() -> None:
    # 数据 is one of the three Chinese pieces of more than one character that Mistral has.
    sheet = asked(None, with_pieces([("参数", 0.0)]), None, [Text("one", "いま参数据を見る。")], fuzz=0)
    assert set(sheet.failed) == {"ranked-below", "coarsening"}
    found = sheet.result("coarsening").counter_example
    assert found is not None
    assert (found.text, found.found_in) == ("参数据", "one")
    assert found.base[-2:] == ("参", "数据")
    assert found.extended[-2:] == ("参数", "据")
    # The leading blank and 参数 are seven bytes.
    assert found.position == 7


def test_chinese_llama(base: Path, tmp_path: Path) -> None:
    """Unigram pieces with score 0 behind the base's."""
    import sentencepiece

    from watari.pretrained.sentencepiece import parse_spm

    data = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([item.text for item in tiny.texts()] * 4),
        model_writer=data,
        vocab_size=300,
        model_type="unigram",
        normalization_rule_name="identity",
        character_coverage=1.0,
        minloglevel=2,
    )
    known = {piece.text for piece in tiny.mistral().model.pieces}
    pieces = [p.text for p in parse_spm(data.getvalue()).pieces if p.kind is PieceKind.NORMAL]
    extended = with_pieces([(piece, 0.0) for piece in pieces if piece not in known])
    (tmp_path / "tokenizer.model").write_bytes(extended.model.data)
    sheet = asked(base, extended, tmp_path)
    assert set(sheet.failed) == {
        "ranked-below",
        "strict-pieces",
        "reachable",
        "unchanged",
        "coarsening",
    }


# --- other files ---


def test_shisa_regenerated_merges(base: Path, tmp_path: Path) -> None:
    """Vocabulary of a fresh tokenizer appended, and all merges made anew in the order of the ids."""
    fresh = (
        load_tokenizer(base).train_new_from_iterator([item.text for item in tiny.texts()], 600).get_vocab()
    )
    content = json.loads((base / "tokenizer.json").read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    for piece in sorted((piece for piece in fresh if piece not in vocabulary), key=fresh.__getitem__):
        vocabulary[piece] = len(vocabulary)
    special = {token["content"] for token in content["added_tokens"]}
    made = [piece for piece in vocabulary if piece not in special and not piece.startswith("<0x")]
    content["model"]["merges"] = [
        [left, right] for piece in made for left, right in splits(piece) if {left, right} <= vocabulary.keys()
    ]
    sheet = asked_json(base, tiny.write_json(base, tmp_path, content))
    assert set(sheet.failed) == {
        "base-merges",
        "ranked-below",
        "strict-pieces",
        "reachable",
        "unchanged",
        "coarsening",
    }
    newline = sheet.result("unchanged").counter_example
    assert newline is not None
    assert newline.text == "\n"
    assert newline.base[-1] == newline.extended[-1] == "\n"


@pytest.mark.parametrize("normalized", [False, True])
def test_add_tokens(base: Path, tmp_path: Path, normalized: bool) -> None:
    """Tokens that are cut out of a text before the model: what is left begins with a blank that nobody wrote."""
    from tokenizers import AddedToken

    tokenizer = load_tokenizer(base)
    tokenizer.add_tokens([AddedToken(piece, normalized=normalized) for piece in tiny.spm_pieces()])
    tokenizer.save_pretrained(tmp_path)
    sheet = asked_json(base, tmp_path)
    blanks = set() if normalized else {"round-trip"}
    assert set(sheet.failed) == {"model-pieces", "coarsening", *blanks}
    if blanks:
        found = sheet.result("round-trip").counter_example
        assert found is not None
        assert found.extended[0].replace(" ", "") == found.base[0] == found.text


def test_llama_tokenizer_drops_the_normaliser(base: Path, good: Path, tmp_path: Path) -> None:
    folder = copy(good, tmp_path / "llama")
    change(folder / "tokenizer_config.json", lambda c: c.update(tokenizer_class="LlamaTokenizer"))
    sheet = asked(base, tiny.mistral().extended(tiny.spm_pieces()), folder, fuzz=200)
    assert sheet.failed == ["agree-transformers"]
    found = sheet.result("agree-transformers").counter_example
    assert found is not None
    assert found.text.startswith(" ")


def test_a_form_that_was_left_behind(base: Path, good: Path, tmp_path: Path) -> None:
    folder = copy(good, tmp_path / "stale")
    (folder / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    sheet = asked(base, tiny.mistral().extended(tiny.spm_pieces()), folder, fuzz=200)
    assert set(sheet.failed) == {"agree-tokenizers", "agree-transformers", "agree-reference-json"}


def test_a_file_that_does_not_load(base: Path, good: Path, tmp_path: Path) -> None:
    folder = copy(good, tmp_path / "broken")
    change(folder / "tokenizer.json", lambda c: c["model"].update(type="Nonsense"))
    sheet = asked(base, tiny.mistral().extended(tiny.spm_pieces()), folder, fuzz=200)
    assert set(sheet.failed) == {"agree-tokenizers", "agree-transformers"}
    assert "does not load" in sheet.result("agree-tokenizers").note
    assert "Nonsense" in sheet.result("agree-reference-json").note


def _lose_bos(content: Any) -> None:
    content["post_processor"] = None


def _flag(content: Any) -> None:
    content["added_tokens"][1]["normalized"] = True


def _template(content: Any) -> None:
    content["chat_template"] = "{{ other }}"


def _bos_name(content: Any) -> None:
    content["bos_token"] = "<unk>"


@pytest.mark.parametrize(
    ("file", "edit", "red"),
    [
        ("tokenizer.json", _lose_bos, "post-processor"),
        ("tokenizer.json", _flag, "special-tokens"),
        ("tokenizer_config.json", _template, "chat-template"),
        ("tokenizer_config.json", _bos_name, "special-tokens"),
    ],
)
def test_what_stands_around_the_model(
    file: str, edit: Callable[[Any], None], red: str, base: Path, good: Path, tmp_path: Path
) -> None:
    before, after = copy(base, tmp_path / "base"), copy(good, tmp_path / "extended")
    for folder in (before, after):
        change(folder / "tokenizer_config.json", lambda c: c.update(chat_template="{{ messages }}"))
    change(after / file, edit)
    sheet = asked(before, tiny.mistral().extended(tiny.spm_pieces()), after, [], fuzz=20)
    assert sheet.failed == [red]


def test_metaspace_for_prepend_is_told_not_held_against_it(base: Path, good: Path, tmp_path: Path) -> None:
    def edit(content: Any) -> None:
        content["normalizer"] = None
        content["pre_tokenizer"] = {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": "first",
            "split": False,
        }

    older = copy(base, tmp_path / "base")
    change(older / "tokenizer.json", edit)
    sheet = asked(older, tiny.mistral().extended(tiny.spm_pieces()), good, [], fuzz=20)
    assert sheet.holds
    assert "written in another way" in sheet.result("pipeline").note


def test_special_tokens_are_compared_across_forms(good: Path, tmp_path: Path) -> None:
    # The base is a tokenizer.model alone, the extended one a tokenizer.json alone.
    folder = copy(good, tmp_path / "extended")
    (folder / "tokenizer.model").unlink()
    change(folder / "tokenizer.json", lambda c: c["added_tokens"].pop(1))
    sheet = verify(
        tiny.mistral(),
        tiny.Fast(folder, "extended"),
        [],
        script=tiny.SCRIPT,
        fuzz=20,
        extended_files=folder,
    )
    assert "special-tokens" in sheet.failed
    found = sheet.result("special-tokens").counter_example
    assert found is not None
    assert (found.text, found.extended) == ("<s>", ())


# --- byte-level ---


def _renumbered(content: Any) -> None:
    for token in content["added_tokens"]:
        del content["model"]["vocab"][token["content"]]


def _new_first(content: Any) -> None:
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    content["model"]["merges"] = sorted(merges, key=lambda pair: vocabulary["".join(pair)] < 702)


def _whole_words(content: Any) -> None:
    content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "[ぁ-ヿ一-鿿]+|" + tiny.WORDS


def _swap(content: Any) -> None:
    vocabulary = content["model"]["vocab"]
    one, other = list(vocabulary)[300:302]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]


def _plain_text(content: Any) -> None:
    tiny.add_byte_level(content, [tiny.byte_letters("zq")])


def _half_of_a_character(content: Any) -> None:
    # E2 80 begins “ and — as well.
    tiny.add_byte_level(content, [tiny.byte_letters("—")[:2]])


def _across_words(content: Any) -> None:
    tiny.add_byte_level(content, [tiny.byte_letters("あ\n")])


def _normaliser(content: Any) -> None:
    content["normalizer"] = {"type": "NFKC"}


def _decoder(content: Any) -> None:
    content["decoder"] = {"type": "Fuse"}


@pytest.mark.parametrize(
    ("edit", "red"),
    [
        (lambda content: None, set()),
        (_renumbered, {"special-tokens", "strict-pieces", "reachable", "coarsening", "round-trip"}),
        (_new_first, {"base-merges", "ranked-below", "coarsening"}),
        (_whole_words, {"pipeline", "coarsening"}),
        (_swap, {"base-bytes"}),
        (_plain_text, {"strict-pieces", "unchanged"}),
        (_across_words, {"reachable"}),
        (_normaliser, {"pipeline", "reachable", "unchanged", "coarsening", "round-trip"}),
        (_decoder, {"pipeline", "round-trip"}),
    ],
)
def test_byte_level(
    edit: Callable[[Any], None], red: set[str], bytes_base: Path, bytes_good: Path, tmp_path: Path
) -> None:
    folder = copy(bytes_good, tmp_path / "extended")
    change(folder / "tokenizer.json", edit)
    assert set(asked_json(bytes_base, folder).failed) == red


def test_a_part_of_a_character_must_be_strict_in_all_that_it_begins(
    bytes_base: Path, bytes_good: Path, tmp_path: Path
) -> None:
    folder = copy(bytes_good, tmp_path / "extended")
    change(folder / "tokenizer.json", _half_of_a_character)
    sheet = asked_json(bytes_base, folder)
    assert {"strict-pieces", "unchanged"} <= set(sheet.failed)


def test_a_part_of_a_strict_character_is_let_through(
    bytes_base: Path, bytes_good: Path, tmp_path: Path
) -> None:
    def edit(content: Any) -> None:
        # E9 BE begins U+9F80 to U+9FBF, all of them Han.
        tiny.add_byte_level(content, [tiny.byte_letters("龘")[:2], tiny.byte_letters("龘")])

    folder = copy(bytes_good, tmp_path / "extended")
    change(folder / "tokenizer.json", edit)
    assert asked_json(bytes_base, folder).holds
