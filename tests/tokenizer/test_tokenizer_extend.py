"""`tokenizer.extend` on real bases: the base stays itself, token for token, and the new pieces are all they claim.

I1 … I11 are the invariants of the facts page on tokenizers, §8.
"""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from made_artifacts import as_input, documents
from small_japanese import ODD, japanese
from watari.artifact.draws import draw_uint64
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.outside import packaged_file
from watari.artifact.stage import Inputs, Silent, StageResult
from watari.errors import Interrupted, UserError
from watari.pretrained import load_tokenizer
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.graft import Graft, read_graft
from watari.pretrained.sentencepiece import SpmModel, read_spm
from watari.tokenizer import extend
from watari.tokenizer.build import extend_tokenizer
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import script_of
from watari.tokenizer.texts import Text

SCRIPT = script_of("ja")
TEXTS = japanese(240)
DOCUMENTS = [Text(str(number), text, language) for number, (language, text) in enumerate(TEXTS)]
RANGES = [
    (0x3000, 0x30FF),
    (0x31F0, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF01, 0xFF9F),
]
"""Strict Japanese characters, written down here a second time from the facts page; planes 2 and 3 too."""


def without_script(text: str) -> str:
    return "".join(
        c for c in text if not (any(a <= ord(c) <= b for a, b in RANGES) or 0x20000 <= ord(c) < 0x40000)
    )


def base_folder(root: Path, base: str, request: pytest.FixtureRequest) -> Path:
    if base == "llama-2":
        path = request.getfixturevalue("test_data") / "tinystories-llama" / "tokenizer.model"
    else:
        path = packaged_file(f"package://{base}")
    write_fast_tokenizer(read_spm(path), root)
    return root


def run(root: Path, base: Path, texts: list[tuple[str, str]], **params: Any) -> StageResult:
    root.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(
        {
            "base": [as_input("base", base, Kind.MODEL)],
            "text": [documents("text", root.with_name(root.name + "-text"), texts)],
        }
    )
    chosen = extend.Params(base="base", text="text", **{"language": "ja", "add": 200, **params})
    return extend.run(chosen, inputs, root, Silent())


@dataclass
class Made:
    """An extended tokenizer and what it came from."""

    base: SpmModel
    model: SpmModel
    graft: Graft
    folder: Path
    result: StageResult

    def __post_init__(self) -> None:
        self.before = self.base.processor()
        self.after = self.model.processor()
        self.fast = load_tokenizer(self.folder)


Make = Callable[[str, pytest.FixtureRequest], Made]
QUICK = {"fuzz": 100}
"""Parameters where the certificate is not what is asked: `made` has it of every base with the stage's own fuzz."""


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that extends a base by its name, each once."""
    known: dict[str, Made] = {}

    def extended(name: str, request: pytest.FixtureRequest) -> Made:
        if name not in known:
            root = tmp_path_factory.mktemp(f"extend-{name}")
            base = base_folder(root / "base", name, request)
            result = run(root / "out", base, TEXTS)
            known[name] = Made(
                read_spm(base / "tokenizer.model"),
                read_spm(root / "out" / "tokenizer.model"),
                read_graft(root / "out"),
                root / "out",
                result,
            )
        return known[name]

    return extended


@pytest.fixture(scope="module", params=["mistral-v1", "mistral-v3", "llama-2"])
def made(request: pytest.FixtureRequest, make: Make) -> Made:
    return make(request.param, request)


@pytest.fixture(scope="module")
def mistral(request: pytest.FixtureRequest, make: Make) -> Made:
    return make("mistral-v1", request)


def fuzz(count: int, seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    words = [text[i : i + 7] for _, text in TEXTS[:40] for i in range(0, len(text), 7)]
    for _ in range(count):
        parts = [
            draw.choice(words) if draw.random() < 0.4 else draw.choice(ODD)
            for _ in range(draw.randint(0, 14))
        ]
        yield "".join(parts)
    for character in "あー。、　鬱竈𠮷 ":
        for n in range(1, 24):
            yield character * n
            yield "は" + character * n


def spans_of(processor: Any, text: str) -> set[int]:
    """Boundaries between tokens, in UTF-8 bytes of the text with its leading blank."""
    at, found = 0, {0}
    for index in processor.encode(text):
        piece = processor.id_to_piece(index)
        at += 1 if processor.is_byte(index) else len(piece.encode("utf-8"))
        found.add(at)
    return found


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<["), max_size=40)
JAPANESE_TEXT = st.text(st.sampled_from([*ODD.replace("<", "").replace("[", "")]), max_size=40)


def test_i1_text_without_the_script_keeps_its_ids(made: Made) -> None:
    for text in [without_script(text) for text in fuzz(800, 1)]:
        assert made.after.encode(text) == made.before.encode(text)


@settings(max_examples=120)
@given(ANY_TEXT)
def test_i1_on_any_text(mistral: Made, text: str) -> None:
    text = without_script(text)
    assert mistral.after.encode(text) == mistral.before.encode(text)
    assert mistral.fast(text, add_special_tokens=False)["input_ids"] == mistral.before.encode(text)


@given(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\u8c48\uac00\ue000\uf8ff\uf900\ufaff\ufb00"),
    )
)
def test_script_is_exactly_what_the_facts_say(character: str) -> None:
    assert SCRIPT.has_strict(character) == (without_script(character) == "")
    for text in (" ", "\n", "A", "1"):
        assert not Policy(SCRIPT).usable(text)


def test_i2_new_segmentation_is_coarser(made: Made) -> None:
    for text in fuzz(800, 2):
        assert spans_of(made.after, text) <= spans_of(made.before, text), text


@settings(max_examples=120)
@given(st.one_of(ANY_TEXT, JAPANESE_TEXT))
def test_i2_i3_i5_on_any_text(mistral: Made, text: str) -> None:
    ids = mistral.after.encode(text)
    assert spans_of(mistral.after, text) <= spans_of(mistral.before, text)
    assert mistral.after.decode(ids) == mistral.before.decode(mistral.before.encode(text)) == text
    assert mistral.fast(text, add_special_tokens=False)["input_ids"] == ids


def test_i3_decoding_gives_the_text_back(made: Made) -> None:
    for text in fuzz(800, 3):
        ids = made.after.encode(text)
        assert made.after.decode(ids) == text
        assert made.fast.decode(ids) == text


def test_i4_ids_scores_and_merges_of_the_base_are_untouched(made: Made, tmp_path: Path) -> None:
    size = len(made.base)
    assert made.model.pieces[:size] == made.base.pieces
    write_fast_tokenizer(made.base, tmp_path)
    before = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    after = json.loads((made.folder / "tokenizer.json").read_text("utf-8"))
    old = before["model"]["merges"]
    assert after["model"]["merges"][: len(old)] == old
    assert len(after["model"]["merges"]) > len(old)
    assert dict(list(after["model"]["vocab"].items())[:size]) == before["model"]["vocab"]
    for part in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert after[part] == before[part]


def test_i5_i9_reloaded_tokenizer_equals_sentencepiece(made: Made) -> None:
    (made.folder / "config.json").write_text('{"model_type": "llama"}')
    try:
        fast = load_tokenizer(made.folder)
    finally:
        (made.folder / "config.json").unlink()
    assert len(fast) == len(made.model)
    for text in [*fuzz(1200, 5), *(" " * n + "猫 は\n" for n in range(6)), *(text for _, text in TEXTS)]:
        if "<s>" in text or "[" in text:
            continue
        assert fast(text, add_special_tokens=False)["input_ids"] == made.after.encode(text), text


def test_i6_every_new_piece_is_reachable_and_was_in_the_text(made: Made) -> None:
    size = len(made.base)
    skip = len(made.after.encode("\n"))
    joined = "\0".join(text for _, text in TEXTS)
    for index, piece in enumerate(made.graft.pieces):
        assert made.after.encode("\n" + piece)[skip:] == [size + index]
        assert SCRIPT.has_strict(piece)
        assert len(piece) <= 16
        assert joined.count(piece) >= 2


def test_i7_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    base = open_base("mistral-v1")

    def learned(count: int) -> Graft:
        return extend_tokenizer(base, DOCUMENTS, Policy(SCRIPT), Goal(add=count), prune_unused=False).graft

    longer = learned(300)
    assert len(longer.pieces) == 300
    for count in (1, 50, 137):
        shorter = learned(count)
        assert shorter.pieces == longer.pieces[:count]
        assert shorter.saved == longer.saved[:count]
        # Only the counts differ: pieces that came later take uses from those before.
        assert longer.first(count).parents == shorter.parents


def test_i8_scores_are_distinct_in_float32_and_below_the_base(made: Made) -> None:
    size = len(made.base)
    scores = [piece.score for piece in made.model.pieces[size:]]
    assert all(struct.unpack("<f", struct.pack("<f", score))[0] == score for score in scores)
    assert scores == sorted(set(scores), reverse=True)
    words = [p.score for p in made.base.pieces if p.kind == 1 and p.text.strip("▁")]
    assert max(scores) < min(words)


def test_i11_same_bytes_again_and_pieces_free_of_the_order_of_documents(
    mistral: Made, tmp_path: Path
) -> None:
    again = run(tmp_path / "again", mistral.folder.parent / "base", TEXTS)
    assert digest_of(list_files(tmp_path / "again")) == digest_of(list_files(mistral.folder))
    assert again.metrics == mistral.result.metrics
    base = open_base("mistral-v1")
    one = extend_tokenizer(base, DOCUMENTS, Policy(SCRIPT), Goal(add=200))
    two = extend_tokenizer(base, DOCUMENTS[::-1], Policy(SCRIPT), Goal(add=200))
    assert one.graft == two.graft


def test_graft_tells_where_each_piece_comes_from(made: Made) -> None:
    graft = made.graft
    assert graft.base_digest == made.base.digest()
    assert graft.vocabulary == len(made.model)
    for piece, parents in zip(graft.pieces, graft.parents, strict=True):
        assert made.before.decode(parents).strip() == piece.strip()
        assert len(parents) > 1
    assert all(n <= first for n, first in zip(graft.frequency, graft.first_frequency, strict=True))
    assert sum(graft.frequency) > 0


def test_metrics_tell_the_gain_and_that_english_stays(made: Made) -> None:
    told = made.result.metrics
    for part in ("train", "held_out"):
        by_language = told["characters_per_token"][part]["by_language"]
        assert by_language["en"]["after"] == by_language["en"]["before"]
        assert by_language["ja"]["after"] > 1.5 * by_language["ja"]["before"]
    assert told["documents"]["train"] + told["documents"]["held_out"] == len(TEXTS)
    assert 0 < told["documents"]["held_out"] < len(TEXTS) / 8


def test_alignment_uses_real_pieces(made: Made) -> None:
    told = made.result.metrics
    assert (told["requested"], told["added"], len(made.graft.pieces)) == (200, 256, 256)


@pytest.mark.parametrize(("add", "added"), [(256, 256), (1, 64)])
def test_alignment_adds_no_more_than_it_must(add: int, added: int) -> None:
    # What the stage hands over, without the certificate.
    goal = extend.Params(base="base", text="text", language="ja", add=add).goal()
    assert (
        len(extend_tokenizer(open_base("mistral-v1"), DOCUMENTS, Policy(SCRIPT), goal).graft.pieces) == added
    )


def test_too_little_text_rounds_down_to_alignment_or_says_so(mistral: Made, tmp_path: Path) -> None:
    base = mistral.folder.parent / "base"
    result = run(tmp_path / "few", base, TEXTS, add=50_000, **QUICK)
    assert 0 < result.metrics["added"] < 50_000
    assert result.metrics["vocabulary"] % 64 == 0
    with pytest.raises(UserError, match="new pieces of ja that occur 2 times"):
        run(tmp_path / "none", base, [("en", "Only English here.")] * 3)


def test_one_document_is_not_held_out_from_nothing(mistral: Made, tmp_path: Path) -> None:
    row_id = "out-text-0"
    seed = next(n for n in range(1000) if draw_uint64(n, "tokenizer.extend", row_id) % extend.HELD_OUT == 0)
    text = [("ja", "".join(text for _, text in TEXTS))]
    result = run(
        tmp_path / "out", mistral.folder.parent / "base", text, add=3, align=None, seed=seed, **QUICK
    )
    assert result.metrics["documents"] == {"train": 1, "held_out": 0}
    assert "held_out" not in result.metrics["characters_per_token"]


def test_limits_are_kept(mistral: Made, tmp_path: Path) -> None:
    told = run(
        tmp_path / "out",
        mistral.folder.parent / "base",
        TEXTS,
        add=60,
        align=None,
        max_length=3,
        min_frequency=10,
        **QUICK,
    ).metrics
    pieces = read_graft(tmp_path / "out").pieces
    joined = "".join(text for _, text in TEXTS)
    assert told["requested"] == told["added"] == len(pieces) == 60
    assert max(map(len, pieces)) <= 3
    assert all(joined.count(piece) >= 10 for piece in pieces)


def test_template_of_the_base_goes_along(mistral: Made, tmp_path: Path) -> None:
    base = tmp_path / "base"
    write_fast_tokenizer(mistral.base, base, settings={"chat_template": "{{ messages[0].content }}"})
    run(tmp_path / "out", base, TEXTS[:60], add=10, **QUICK)
    assert load_tokenizer(tmp_path / "out").chat_template == "{{ messages[0].content }}"


def test_other_bases_are_refused_in_words(mistral: Made, tmp_path: Path) -> None:
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        run(tmp_path / "out1", tmp_path / "bytes", TEXTS)
    write_fast_tokenizer(mistral.base, tmp_path / "chat")
    path = tmp_path / "chat" / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["added_tokens"].append({"id": 32000, "content": "<|im_start|>"})
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match=r"added tokens behind its pieces \('<\|im_start\|>'\)"):
        run(tmp_path / "out2", tmp_path / "chat", TEXTS)
    with pytest.raises(
        ValidationError, match="no language pack; known: ar, el, he, hi, id, ja, ko, ru, th, zh"
    ):
        extend.Params(base="b", text="t", language="fr")


def test_stops_when_asked(mistral: Made, tmp_path: Path) -> None:
    class Stop(Silent):
        def stop_requested(self) -> bool:
            return True

    inputs = Inputs(
        {
            "base": [as_input("base", mistral.folder.parent / "base", Kind.MODEL)],
            "text": [documents("text", tmp_path / "text", TEXTS)],
        }
    )
    with pytest.raises(Interrupted):
        extend.run(extend.Params(base="base", text="text", language="ja", add=200), inputs, tmp_path, Stop())


@pytest.mark.data
def test_real_text_doubles_characters_per_token_and_keeps_english(
    mistral: Made, tmp_path: Path, test_data: Path
) -> None:
    texts: list[tuple[str, str]] = []
    for name, language, share in (
        ("aozora", "ja", 300_000),
        ("kyoto-wiki", "ja", 300_000),
        ("en-books", "en", 300_000),
    ):
        size = 0
        with gzip.open(test_data / name / "docs.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                text = (row["text"] if "text" in row else "\n".join(row["ja"]))[:8000]
                texts.append((language, text))
                size += len(text)
                if size > share:
                    break
    result = run(tmp_path / "out", mistral.folder.parent / "base", texts, add=3000)
    told = result.metrics["characters_per_token"]
    japanese_, english = told["held_out"]["by_language"]["ja"], told["train"]["by_language"]["en"]
    assert japanese_["after"] > 1.5 * japanese_["before"]
    assert english["after"] == english["before"]
    before, after = mistral.before, read_spm(tmp_path / "out" / "tokenizer.model").processor()
    fast = load_tokenizer(tmp_path / "out")
    for language, text in texts[::9]:
        ids = after.encode(text)
        assert fast(text, add_special_tokens=False)["input_ids"] == ids
        assert after.decode(ids) == text
        assert spans_of(after, text) <= spans_of(before, text)
        if language == "en" and not SCRIPT.has_strict(text):
            assert ids == before.encode(text)
