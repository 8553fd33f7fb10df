"""Figures of tokenizers on texts: right by hand, honest about what they do not know, and readable."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_japanese import japanese
from watari.errors import UserError
from watari.tokenizer.encoder import Ids
from watari.tokenizer.measure import (
    Comparison,
    compare_files,
    describe,
    measure,
    measure_command,
    unreachable,
)
from watari.tokenizer.measure.names import cut, fitted, short_names, width
from watari.tokenizer.measure.plot import write_plot
from watari.tokenizer.measure.table import print_tables
from watari.tokenizer.opening import open_base, open_encoder
from watari.tokenizer.texts import Text

DOCUMENTS = [Text(str(n), text, language, "small") for n, (language, text) in enumerate(japanese(80))]


@dataclass(frozen=True)
class Toy:
    """One token a character; letters outside Latin-1 as `parts` byte tokens each, "?" as the unknown token."""

    name: str = "toy"
    parts: int = 0
    times: int = 1

    def __len__(self) -> int:
        return 600

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        return [
            np.asarray([i for c in text for i in self._ids(c)] * self.times, dtype=np.int32) for text in texts
        ]

    def _ids(self, character: str) -> list[int]:
        if character == "?":
            return [599]
        if ord(character) < 256:
            return [ord(character)]
        return [256 + value for value in character.encode()[: self.parts]]

    def decode(self, ids: Sequence[int]) -> str:
        raw = b"".join(chr(i).encode() if i < 256 else bytes([i - 256]) for i in ids if i != 599)
        return raw.decode("utf-8", errors="replace")

    def surfaces(self) -> list[bytes | None]:
        return [chr(i).encode() for i in range(256)] + [bytes([i]) for i in range(256)] + [None] * 88


def test_every_figure_by_hand() -> None:
    texts = [
        Text("1", "ab cd", "en", "x"),  # 5 characters, 5 bytes, 5 tokens, 2 words
        Text("2", "猫a?", "ja", "x"),  # 3 characters, 5 bytes, 3 + 1 + 1 tokens, of which 3 broken, 1 unknown
        Text("3", "", "ja", "y"),
    ]
    made = measure(Toy(parts=3), texts, reach=True)
    whole = made.figures("x")
    assert (whole.documents, whole.chars, whole.bytes, whole.tokens) == (2, 8, 10, 10)
    assert whole.language == "mul"
    assert whole.chars_per_token == 0.8
    assert whole.bytes_per_token == 1.0
    assert (whole.fertility, whole.fertility_unit) == (1.25, "character")
    assert (whole.byte_fallback, whole.unknown) == (0.3, 0.1)
    assert (whole.vocabulary, whole.entries) == (600, 512)
    assert whole.unused == 512 - len({*"ab cda"} | {0xE7, 0x8C, 0xAB})
    # The 128 byte tokens that are ASCII repeat a character's own token; above 0x7F they are no text.
    assert whole.unreachable == 128 + 1  # and "?", which gives the unknown token
    assert whole.round_trip == 0.5  # the unknown token is lost
    assert whole.tokens_per_page == 1250
    assert whole.context_share == pytest.approx(1250 / 4096, abs=1e-6)
    assert whole.relative_tokens is None
    english = made.figures("x", "en", context=1000)
    assert (english.language, english.fertility, english.fertility_unit) == ("en", 2.5, "word")
    assert english.context_share == 1.0
    assert english.chars_per_token_low is english.chars_per_token_high is None
    empty = made.figures("y")
    assert (empty.tokens, empty.chars_per_token, empty.bytes_per_token, empty.tokens_per_page) == (
        0,
        None,
        None,
        None,
    )
    assert empty.round_trip == 1.0
    everything = made.figures()
    assert (everything.file, everything.documents, everything.tokens) == ("all", 3, 10)
    with pytest.raises(ValueError, match="no documents"):
        made.figures("z")


def test_parts_sum_to_the_whole() -> None:
    made = measure(open_encoder("mistral-v1"), DOCUMENTS)
    parts = [made.figures(language=language) for language in ("ja", "en")]
    whole = made.figures()
    for name in ("documents", "chars", "bytes", "tokens"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name)
    assert made.usage().sum() == whole.tokens
    assert (made.usage(language="ja") + made.usage(language="en") == made.usage()).all()
    assert whole.round_trip == 1.0
    assert {part.fertility_unit for part in parts} == {"word", "character"}
    assert made.characters_per_token(language="ja") == round(parts[0].chars / parts[0].tokens, 4)


def test_tokens_are_those_of_the_library() -> None:
    from sentencepiece import SentencePieceProcessor

    from watari.artifact.outside import packaged_file

    made = measure(open_encoder("mistral-v1"), DOCUMENTS)
    processor = SentencePieceProcessor(model_file=str(packaged_file("package://mistral-v1")))
    assert made.tokens.tolist() == [len(processor.encode(text.text)) for text in DOCUMENTS]
    broken = [
        sum("<0x" in piece and piece > "<0x7F>" for piece in processor.encode(text.text, out_type=str))
        for text in DOCUMENTS
    ]
    assert made.broken.tolist() == broken


def test_interval_holds_the_value_and_does_not_depend_on_the_order() -> None:
    encoder = open_encoder("mistral-v1")
    few = [text for text in DOCUMENTS if text.language == "ja"]
    many = few + [Text(f"{text.id}+", text.text, text.language, text.source) for text in few] * 3
    one, four = measure(encoder, few).figures(), measure(encoder, many).figures()
    for figures in (one, four):
        assert figures.chars_per_token_low < figures.chars_per_token < figures.chars_per_token_high
    width_of = [f.chars_per_token_high - f.chars_per_token_low for f in (one, four)]
    assert width_of[1] < 0.7 * width_of[0]
    assert measure(encoder, few).figures() == one
    # Another seed draws otherwise, and nothing else.
    other = measure(encoder, few).figures(seed=1)
    assert other.chars_per_token == one.chars_per_token
    assert other.chars_per_token_low != one.chars_per_token_low


def test_cost_is_paired_with_the_first_tokenizer() -> None:
    one, two = Toy("one", parts=3), Toy("two", parts=3, times=2)
    documents = describe(DOCUMENTS)
    first = measure(one, DOCUMENTS, documents=documents)
    second = measure(two, DOCUMENTS, documents=documents)
    relative = second.figures(first=first).relative_tokens
    # Twice as many in every document: no doubt about it, however different the documents are.
    assert relative is not None
    assert (relative.value, relative.low, relative.high) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="other documents"):
        second.figures(first=measure(one, DOCUMENTS[1:]))


def test_unreachable_entries() -> None:
    base = open_base("mistral-v1")
    extended = base.extended(["山田", "鬱竈龘"])
    # A merge joins two symbols, and no two of the three characters are a piece.
    assert [index for index in unreachable(extended) if index >= len(base)] == [len(base) + 1]
    told = {base.pieces()[index] for index in unreachable(base)}
    assert "<0x41>" in told
    assert not any(piece.strip("▁") and not piece.startswith("<0x") for piece in told)


def test_undetermined_language_is_guessed_by_script_for_words_only() -> None:
    made = measure(
        Toy(parts=1),
        [Text("1", "猫は図書館で本を読んでいる", "und", "a"), Text("2", "two words", "und", "b")],
    )
    assert made.figures("a").fertility_unit == "character"
    assert made.figures("b").fertility_unit == "word"
    assert made.figures("a").language == "und"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "一").mkdir()
    (tmp_path / "二").mkdir()
    first, second = tmp_path / "一" / "文書.jsonl", tmp_path / "二" / "文書.jsonl"
    rows = [{"text": text.text, "language": text.language} for text in DOCUMENTS]
    first.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    second.write_text(json.dumps({"text": "猫が鳴いた。", "language": "ja"}) + "\n", "utf-8")
    return [str(first), str(second)]


def test_json_is_a_list_of_one_object_a_tokenizer_and_file(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    measure_command(["mistral-v1", "mistral-v3"], files, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["tokenizer"], row["file"]) for row in rows] == [
        (tokenizer, file) for tokenizer in ("mistral-v1", "mistral-v3") for file in files
    ]
    first = rows[0]
    assert first["chars"] == sum(len(text.text) for text in DOCUMENTS)
    assert first["bytes"] == sum(len(text.text.encode()) for text in DOCUMENTS)
    assert first["chars_per_token"] == pytest.approx(first["chars"] / first["tokens"], abs=1e-6)
    assert set(first["languages"]) == {"ja", "en"}
    assert sum(part["tokens"] for part in first["languages"].values()) == first["tokens"]
    assert rows[1]["chars"] == 6
    assert rows[1]["languages"] == {}
    assert rows[0]["relative_tokens"]["value"] == 1.0
    assert rows[0]["unreachable"] is None


def test_texts_of_several_files_do_not_mix_though_their_names_are_alike(files: list[str]) -> None:
    made = compare_files(["mistral-v1"], files)
    assert [made.figures(file)[0].documents for file in files] == [80, 1]
    assert made.figures()[0].documents == 81
    assert made.languages(files[1]) == ["ja"]
    assert made.share(files[0], "ja") + made.share(files[0], "en") == pytest.approx(1)


def tables(comparison: Comparison, columns: int) -> list[str]:
    from rich.console import Console

    out = io.StringIO()
    print_tables(comparison, Console(width=columns, file=out, highlight=False))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_terminal(files: list[str], columns: int, tmp_path: Path) -> None:
    long = Toy("/somewhere/トークナイザーの名前がとても長い場合の表示/" + "x" * 60 + ".json", parts=3)
    lines = tables(compare_files(["mistral-v1", "mistral-v3", long, Toy("短い名前")], files), columns)
    assert max(width(line.rstrip()) for line in lines) <= columns
    heads = [line for line in lines if line.startswith("tokenizer ")]
    assert len(heads) == 5  # two files, two languages of the first, all together
    rows = [line for line in lines if line.startswith("mistral-v1 ")]
    assert len(rows) == 5
    assert "100" in rows[0]
    assert "…" not in rows[0]
    # Right-aligned: every row of a table ends where its head ends.
    place = lines.index(heads[0])
    ends = {width(line.rstrip()) for line in lines[place : place + 5]}
    assert len(ends) == 1
    # What is cut in the table is told in full above it.
    assert any("トークナイザーの名前" in line for line in lines[:6])


def test_small_languages_have_no_table_of_their_own_but_are_named(tmp_path: Path) -> None:
    rows = [{"text": "猫が鳴いた。" * 50, "language": "ja"}, {"text": "Hi", "language": "en"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    made = compare_files(["mistral-v1"], [str(tmp_path / "a.jsonl")])
    lines = tables(made, 80)
    assert sum(line.startswith("tokenizer ") for line in lines) == 2
    assert any("in --json: en" in line for line in lines)
    assert set(made.to_json()[0]["languages"]) == {"en", "ja"}


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40), columns=st.integers(3, 20))
def test_cut_names_keep_their_width(text: str, columns: int) -> None:
    short = cut(text, columns)
    assert width(short) <= max(columns, 0)
    if width(text) <= columns:
        assert short == text
    else:
        head, tail = short.split("…", 1) if text.count("…") == 0 else (short[:0], short[len(short) :])
        assert text.startswith(head)
        assert text.endswith(tail)


def test_short_names_stay_apart() -> None:
    assert short_names(["a/b/c", "mistral-v1"]) == ["c", "mistral-v1"]
    assert short_names(["a/x/out", "b/y/out"]) == ["x/out", "y/out"]
    assert short_names(["a/out", "b/out", "out"]) == ["a/out", "b/out", "out"]
    assert short_names(["models/llama/tokenizer.model", "tiktoken:o200k_base"]) == ["llama", "o200k_base"]
    assert short_names(["a/tokenizer.model", "a/tokenizer.json"]) == ["tokenizer.model", "tokenizer.json"]
    long = ["first" + "x" * 40 + "last", "first" + "y" * 40 + "last", "third"]
    assert len(set(fitted(long, 9))) == 3
    assert max(map(width, fitted(long, 9))) <= 9


def test_plot(files: list[str], tmp_path: Path) -> None:
    made = compare_files(["mistral-v1", Toy("トークナイザー", parts=3)], files)
    for name in ("a.svg", "b.svg", "c.png"):
        write_plot(made, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    drawn = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    for word in ("mistral-v1", "トークナイザー", "一/文書.jsonl", "characters per token"):
        assert word in drawn
    assert f"{made.figures(files[0])[0].chars_per_token:.3f}" in drawn
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given_", "complaint"),
    [
        ({"plot": Path("x.gif")}, "not a picture's name"),
        ({"plot": Path("nowhere/x.svg")}, "its folder does not exist"),
        ({"context": 0}, "no size of a window"),
        ({"tokenizers": ["mistral-v1", "mistral-v1"]}, "this tokenizer is named twice"),
        ({"tokenizers": ["nothing"]}, "no such file or folder"),
        ({"tokenizers": []}, "at least one tokenizer and one file"),
        ({"field": "body"}, "no text in 'body'"),
    ],
)
def test_mistakes_are_told_in_words(files: list[str], given_: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        measure_command(**{"tokenizers": ["mistral-v1"], "files": files, **given_})  # type: ignore[arg-type]


def test_a_file_named_twice_and_a_file_without_text(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this file is named twice"):
        compare_files(["mistral-v1"], [files[0], files[0]])
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n', "utf-8")
    with pytest.raises(UserError, match="every document is empty"):
        compare_files(["mistral-v1"], [str(tmp_path / "empty.jsonl")])


@pytest.mark.data
def test_real_text_as_the_facts_page_measured_it(test_data: Path) -> None:
    """JSQuAD paragraphs under Mistral's tokenizer: 0.897 characters a token (facts: tokenizer §3)."""
    import gzip

    seen: dict[str, None] = {}
    for part in ("valid", "test"):
        with gzip.open(test_data / "jglue" / f"jsquad_{part}-v1.3.json.gz", "rt", encoding="utf-8") as file:
            for article in json.load(file)["data"]:
                for paragraph in article["paragraphs"]:
                    seen[paragraph["context"].split("[SEP]")[-1].strip()] = None
    texts = [Text(str(n), text, "ja", "jsquad") for n, text in enumerate(seen)]
    made = measure(open_encoder("mistral-v1"), texts).figures()
    assert made.chars_per_token == pytest.approx(0.897, abs=0.01)
    assert made.round_trip == 1.0
    assert made.chars_per_token_high - made.chars_per_token_low < 0.02
