"""The page of an extended tokenizer: its figures, its pieces, its cuts, and that nothing in it can act."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from in_chromium import dump, said_in
from small_japanese import ODD, japanese
from watari.errors import UserError
from watari.pretrained.graft import GRAFT, read_graft
from watari.tokenizer.build import extend_tokenizer, write_extension
from watari.tokenizer.goal import Goal
from watari.tokenizer.opening import open_base
from watari.tokenizer.page import Nested, build, report_command
from watari.tokenizer.page.chart import Line, chart_svg
from watari.tokenizer.page.gain import (
    Measured,
    embedding_parameters,
    learning_of,
    measure_sizes,
    sizes_up_to,
)
from watari.tokenizer.page.pieces import NewPiece, category_of, groups, lengths, longest, new_pieces, rarest
from watari.tokenizer.page.samples import SAMPLES, samples_for
from watari.tokenizer.page.segments import segments
from watari.tokenizer.page.suspicious import suspicious
from watari.tokenizer.page.words import WORDS
from watari.tokenizer.policy import Policy
from watari.tokenizer.script import languages, script_of
from watari.tokenizer.texts import Text

LEARNING = [Text(str(n), text, language, "small") for n, (language, text) in enumerate(japanese(150))]
HELD_OUT = [
    Text(f"h{n}", text, language, "held out.jsonl") for n, (language, text) in enumerate(japanese(30, seed=9))
]
ANY_TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(ODD)), max_size=60)
EVIL = '</script><script>alert(1)</script><img src="https://example.com/x.png" onerror="alert(1)">&amp; 日本'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extended Mistral of 640 new pieces."""
    folder = tmp_path_factory.mktemp("page") / "made"
    extension = extend_tokenizer(
        open_base("mistral-v1"), LEARNING, Policy(script_of("ja")), Goal(add=640, align=64)
    )
    write_extension(extension, folder)
    return folder


@pytest.fixture(scope="module")
def nested(folder: Path) -> Nested:
    return Nested(folder)


@pytest.fixture(scope="module")
def page(nested: Nested) -> str:
    evil = Text("evil", EVIL, "en", "<b>evil & file</b>.txt")
    return build(nested, [*HELD_OUT, evil], title="<i>A & B</i>")


# --- the tokenizers of every size ---


@pytest.mark.parametrize("count", [0, 1, 100, 639])
def test_a_cut_tokenizer_is_the_base_with_so_many_pieces(nested: Nested, count: int) -> None:
    texts = [text.text for text in HELD_OUT]
    expected = open_base("mistral-v1").extended(nested.graft.pieces[:count])
    cut = nested.first(count)
    assert len(cut) == 32_000 + count
    for one, two in zip(cut.encode(texts), expected.encode(texts), strict=True):
        assert one.tolist() == two.tolist()


def test_folders_that_do_not_go_together_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no graft\.json"):
        Nested(tmp_path)
    (tmp_path / "a").mkdir()
    shutil.copyfile(folder / GRAFT, tmp_path / "a" / GRAFT)
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        Nested(tmp_path / "a")
    (tmp_path / "a" / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(UserError, match=r"not the tokenizer\.json of a byte-pair encoding"):
        Nested(tmp_path / "a")
    content = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    first, second = read_graft(folder).pieces[:2]
    vocabulary = content["model"]["vocab"]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (tmp_path / "a" / "tokenizer.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match="they belong apart"):
        Nested(tmp_path / "a")


# --- the gain ---


@pytest.fixture(scope="module")
def measured(nested: Nested) -> Measured:
    (found,) = measure_sizes(nested, HELD_OUT, sizes_up_to(len(nested)), 0)
    return found


def test_sizes() -> None:
    assert sizes_up_to(8064) == [0, 100, 200, 500, 1000, 2000, 5000, 8064]
    assert sizes_up_to(88_064) == [0, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 88_064]
    assert sizes_up_to(1) == [0, 1]
    assert all(len(sizes_up_to(10**n)) <= 12 for n in range(8))


def test_learning_curve_adds_up_what_each_piece_saved(
    nested: Nested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.tokenizer.page.gain.STEP", 100)
    learning = learning_of(nested.graft)
    assert learning is not None
    assert len(learning.left) == len(nested) + 1
    assert learning.left[0] == nested.graft.tokens
    assert learning.left[-1] == pytest.approx(nested.graft.tokens - sum(nested.graft.saved) / 1024)
    assert learning.characters_per_token(0) == nested.graft.characters / nested.graft.tokens
    saved = learning.next_saves(0)
    assert saved == pytest.approx(sum(nested.graft.saved[:100]) / 1024 / nested.graft.characters * 1e6)
    assert learning.next_saves(540) is not None
    assert learning.next_saves(541) is None
    older = nested.graft.model_copy(update={"saved": [], "characters": 0, "tokens": 0})
    assert learning_of(older) is None


def test_measured_gain_is_that_of_the_cut_tokenizers(
    nested: Nested, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.tokenizer.page.gain.STEP", 100)
    sizes = sizes_up_to(len(nested))
    assert list(measured.sizes) == sizes
    assert measured.name == "held out.jsonl"
    assert not measured.part
    for size, figures in list(zip(sizes, measured.figures, strict=True))[::3]:
        encoder = nested.first(size)
        assert figures.tokens == sum(map(len, encoder.encode([text.text for text in HELD_OUT])))
    counts = [figures.tokens for figures in measured.figures]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 0.6 * counts[0]
    saves = measured.next_saves(0)
    at = sizes.index(100)
    assert saves == pytest.approx((counts[0] - counts[at]) / measured.figures[0].chars * 1e6)
    assert measured.next_saves(541) is None


def test_much_text_is_drawn_from(nested: Nested, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watari.tokenizer.page.gain.MOST_CHARACTERS", 1500)
    (one,) = measure_sizes(nested, HELD_OUT, [0, 10], 0)
    assert one.part
    assert 0 < one.figures[0].chars <= 1500
    (again,) = measure_sizes(nested, HELD_OUT, [0, 10], 0)
    assert again.figures == one.figures
    (other,) = measure_sizes(nested, HELD_OUT, [0, 10], 1)
    assert other.figures[0].chars != one.figures[0].chars


def test_embedding_parameters() -> None:
    assert embedding_parameters(11_008, 4096, tied=False) == 2 * 11_008 * 4096
    assert embedding_parameters(11_008, 4096, tied=True) == 11_008 * 4096


# --- the pieces ---


@pytest.mark.parametrize(
    ("text", "category"),
    [
        (None, "part"),
        ("鬱", "single"),
        ("。", "single"),
        (" 가", "single"),
        ("東京都", "han"),
        ("日々", "han"),
        ("ている", "hiragana"),
        ("ラーメン", "katakana"),
        ("スの", "kana"),
        ("食べる", "mixed"),
        ("。」", "marks"),
        ("した。", "punctuated"),
        ("2001年", "digits"),
        ("１０月", "digits"),
        ("月\u3000", "punctuated"),
        (" 사람", "letters"),
        ("할 수", "phrase"),
        ("новый", "letters"),
    ],
)
def test_categories(text: str | None, category: str) -> None:
    assert category_of(text) == category


def test_groups_and_lengths_hold_every_piece_once(nested: Nested) -> None:
    pieces = new_pieces(nested.graft, nested.texts())
    assert [piece.id for piece in pieces] == list(range(32_000, nested.graft.vocabulary))
    assert sum(group.count for group in groups(pieces)) == len(pieces)
    assert sum(group.share for group in groups(pieces)) == pytest.approx(1)
    assert sum(group.used for group in groups(pieces)) == pytest.approx(1)
    assert sum(count for _, count in lengths(pieces)) == len(pieces)
    assert longest(pieces, 1)[0].length == max(piece.length for piece in pieces)
    assert rarest(pieces, 1)[0].frequency == min(nested.graft.frequency)
    assert [piece.text for piece in pieces] == nested.graft.pieces  # Japanese pieces hold no blanks


def piece(text: str, frequency: int = 9, id_: int = 0) -> NewPiece:
    return NewPiece(id_, id_, text, category_of(text), frequency, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ああああ", "repeated"),
        ("笑笑笑", "repeated"),
        ("ザーザーザー", "repeated"),
        ("……", None),
        ("。。。", "run"),
        ("あ・・・", "run"),
        ("」。「", "run"),
        ("ｗｗｗ．例", "address"),
        ("例＠", "address"),
        ("底本：", "boilerplate"),
        ("ははは", "repeated"),
        ("母は花", None),
        ("です。", None),
        ("東京都", None),
    ],
)
def test_suspicious_pieces(text: str, reason: str | None) -> None:
    found = suspicious([piece(text)], ["底本", "会員登録"])
    assert [told.reason for told in found] == ([] if reason is None else [reason])


def test_pieces_of_one_source_and_unused_ones_are_told() -> None:
    pieces = [piece("利用者の皆様", id_=0), piece("考えている", 0, id_=1), piece("という説がある", id_=2)]
    counts = {"web": [60, 9, 70], "books": [0, 9, 1]}
    told = [(told.piece.id, told.reason, told.about) for told in suspicious(pieces, (), counts)]
    assert told == [(1, "unused", ""), (0, "one_source", "web")]
    assert [t.reason for t in suspicious(pieces, (), {"web": [60, 9, 70]})] == ["unused"]


# --- segmentation ---


@pytest.fixture(scope="module")
def surfaces_of(nested: Nested) -> dict[int, list[bytes | None]]:
    return {count: nested.first(count).surfaces() for count in (0, len(nested))}


@given(text=ANY_TEXT)
def test_segments_are_the_text(nested: Nested, surfaces_of: dict[int, list[bytes | None]], text: str) -> None:
    text = text.replace("▁", "")
    for count, surfaces in surfaces_of.items():
        encoder = nested.first(count)
        cut = segments(encoder, surfaces, text, 32_000)
        assert "".join(segment.text for segment in cut) == text
        ids = encoder.encode([text])[0].tolist()
        assert [index for segment in cut for index in segment.ids] == ids
        assert any(segment.new for segment in cut) == any(index >= 32_000 for index in ids)


def test_the_first_and_the_last_new_piece_are_new(
    nested: Nested, surfaces_of: dict[int, list[bytes | None]]
) -> None:
    encoder = nested.first(len(nested))
    for place in (0, len(nested) - 1):
        text = "\n" + nested.graft.pieces[place]
        cut = segments(encoder, surfaces_of[len(nested)], text, 32_000)
        assert [(segment.text, segment.new) for segment in cut][-1] == (nested.graft.pieces[place], True)
        assert not any(segment.new for segment in cut[:-1])


def test_tokens_of_one_character_are_one_segment(nested: Nested) -> None:
    base = nested.first(0)
    cut = segments(base, base.surfaces(), "𠮷野", 32_000)
    assert [(segment.text, len(segment.ids)) for segment in cut][:2] == [("", 1), ("𠮷", 4)] or cut[
        0
    ].text == "𠮷"
    assert "".join(segment.text for segment in cut) == "𠮷野"


def test_samples() -> None:
    assert [sample.source for sample in samples_for("ja", [])] == [""] * (len(SAMPLES["ja"]) + 1)
    mine = samples_for("ja", HELD_OUT)
    assert mine[0].source == "held out.jsonl"
    assert mine[0].text in HELD_OUT[0].text
    assert mine[-1].text == SAMPLES["en"][0]
    (long, *_) = samples_for("ja", [Text("1", "長い" * 1000, "ja", "x")])
    assert long.shortened
    # Every language with a pack has a sentence, written in its script.
    for language in languages():
        assert all(script_of(language).has_strict(text) for text in SAMPLES[language])


# --- the page ---


class Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_nothing_in_the_page_acts_or_is_loaded(page: str) -> None:
    parts = Parts()
    parts.feed(page)
    assert parts.tags.count("script") == 1
    assert "img" not in parts.tags
    assert all(address.startswith("#") for address in parts.addresses)
    assert "&lt;i&gt;A &amp; B&lt;/i&gt;" in page
    assert "&lt;b&gt;evil &amp; file&lt;/b&gt;.txt" in page
    assert "<b>evil" not in page
    assert "default-src &#39;none&#39;; script-src &#39;sha256-" in page
    assert "url(" not in page
    assert "@import" not in page


def test_page_shows_the_figures(page: str, nested: Nested, measured: Measured) -> None:
    learning = learning_of(nested.graft)
    assert learning is not None
    for place, size in enumerate(measured.sizes):
        row = page[page.index(f'<th scope="row">+{size:,}</th>') :].partition("</tr>")[0]
        assert f"{measured.figures[place].chars_per_token:.3f}<small>" in row
        assert f"{learning.characters_per_token(size):.3f}<small>" in row
    assert f"{len(nested):,}" in page
    assert page.count('class="cut"') >= 4


def test_page_is_the_same_again_and_knows_no_place_on_a_disk(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watari.tokenizer.page.gain.MOST_SIZES", 3)
    text = tmp_path / "文書.txt"
    text.write_text("\n".join(item.text for item in HELD_OUT), "utf-8")
    one = report_command(folder, tmp_path / "a" / "one.html", base="mistral-v1", files=[str(text)])
    two = report_command(folder, tmp_path / "two.html", files=[str(text)])
    assert one.read_bytes() == two.read_bytes()
    written = one.read_text("utf-8")
    assert str(tmp_path) not in written
    assert "文書.txt" in written
    assert f"<bdi>{folder.name}</bdi>" in written


def test_page_without_text_and_without_savings(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    graft = json.loads((folder / GRAFT).read_text("utf-8"))
    for field in ("saved", "characters", "tokens", "family"):
        del graft[field]
    (tmp_path / "old" / GRAFT).write_text(json.dumps(graft), "utf-8")
    written = report_command(tmp_path / "old", tmp_path / "old.html").read_text("utf-8")
    assert "does not hold what each piece saved" in written
    assert '<svg class="chart"' not in written
    assert f'<th scope="row">+{len(graft["pieces"]):,}</th>' in written
    assert SAMPLES["ja"][0][:10] not in written  # it is cut into tokens …
    assert "ID は同一" in written  # … and English is not cut otherwise than before
    shutil.rmtree(tmp_path / "old")


def test_mistakes_are_told_in_words(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the base of"):
        report_command(folder, tmp_path / "x.html", base="mistral-v3")
    with pytest.raises(UserError, match="give a file's name"):
        report_command(folder, tmp_path)
    with pytest.raises(UserError, match="positive numbers"):
        report_command(folder, tmp_path / "x.html", hidden=[0])
    with pytest.raises(UserError, match=r"nothing\.txt"):
        report_command(folder, tmp_path / "x.html", files=[str(tmp_path / "nothing.txt")])
    with pytest.raises(UserError, match="named twice"):
        report_command(folder, tmp_path / "x.html", files=["a.txt", "a.txt"])
    assert not (tmp_path / "x.html").exists()


def test_byte_level_base(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.train_from_iterator(
        [text.text for text in LEARNING if text.language == "en"],
        trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    (tmp_path / "base").mkdir()
    base.save(str(tmp_path / "base" / "tokenizer.json"))
    opened = open_base(str(tmp_path / "base"))
    extension = extend_tokenizer(opened, LEARNING, Policy(script_of("ja")), Goal(add=100))
    write_extension(extension, tmp_path / "made")
    nested = Nested(tmp_path / "made")
    texts = nested.texts()
    assert all(text is None or script_of("ja").has_strict(text) for text in texts)
    pieces = new_pieces(nested.graft, texts)
    assert sum(group.count for group in groups(pieces)) == 100
    encoder = nested.first(100)
    for text in (HELD_OUT[0].text, "𠮷 naïve\n"):
        cut = segments(encoder, encoder.surfaces(), text, nested.graft.base_vocabulary)
        assert "".join(segment.text for segment in cut) == text
    assert any(
        segment.new for segment in segments(encoder, encoder.surfaces(), HELD_OUT[0].text, len(opened))
    )
    assert 'class="cut"' in build(nested)


def test_words_are_in_both_languages_with_the_same_blanks() -> None:
    for key, (english, japanese_) in WORDS.items():
        assert english, key
        assert japanese_, key
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", japanese_)), key
        if not key.startswith("on_text"):
            assert re.search(r"[぀-ヿ一-鿿]", japanese_) or not re.search(r"[a-z]{3}", english), key


def test_every_word_is_used(page: str) -> None:
    source = "".join(
        path.read_text("utf-8")
        for room in ("tokenizer/page", "pages")
        for path in Path(__file__).parents[2].joinpath("src/watari", room).rglob("*")
        if path.suffix in (".py", ".html") and path.name != "words.py"
    )
    made = ("cat_", "why_", "gain_title", "marginal_title")
    unused = [key for key in WORDS if f'"{key}"' not in source and not key.startswith(made)]
    assert unused == []


def test_chart_has_a_place_for_zero_and_leaves_out_what_a_logarithm_cannot_show() -> None:
    line = Line([(0, 1.0), (100, 1.2), (1000, 1.5)], 0, marked=True, name="<x>")
    drawn = str(chart_svg([line], x_title="", labelled_by="t"))  # type: ignore[arg-type]
    assert drawn.count("<circle") == 3
    assert 'class="from-zero c0"' in drawn
    assert "&lt;x&gt;" in drawn
    xs = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    assert xs == sorted(xs)
    falling = Line([(100, 500.0), (200, 0.0), (500, 100.0)], 0, marked=True)
    drawn = str(chart_svg([falling], x_title="", labelled_by="t", logarithmic=True))  # type: ignore[arg-type]
    assert drawn.count("<circle") == 2


# --- in a real browser ---


def test_script_runs_under_its_policy_and_reads_the_address(page: str, tmp_path: Path) -> None:
    dom = dump(page, tmp_path, "#ja/dark/kinds")
    root = dom[: dom.index("<head>")]
    assert 'data-ready="yes"' in root
    assert 'data-lang="ja"' in root
    assert 'data-theme="dark"' in root
    assert 'aria-label="言語"' in dom


def test_switches_work_and_a_phone_is_wide_enough(page: str, tmp_path: Path) -> None:
    script = """
      const shown = (lang) => getComputedStyle(document.querySelector(`h2 .w[lang=${lang}]`)).display !== "none";
      const said = [shown("en"), shown("ja")];
      document.querySelector("[data-set-lang=ja]").click();
      said.push(shown("en"), shown("ja"), location.hash);
      document.getElementById("theme").click();
      said.push(location.hash);
      said.push(onPhone().documentElement.scrollWidth <= 360);
      document.body.dataset.said = JSON.stringify(said);
    """
    expected = [True, False, False, True, "#ja", "#ja/dark", True]
    assert said_in(dump(page, tmp_path, extra=script)) == expected
