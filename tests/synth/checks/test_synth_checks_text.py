"""How a content is taken apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.synth.checks.sound import alike, sound_of_katakana, sound_of_latin
from watari.synth.checks.text import Turn


def texts(pieces):
    return [piece.text for piece in pieces]


@pytest.mark.parametrize(
    ("content", "bodies"),
    [
        ("```js\na\n```", ["a\n"]),
        ("~~~\na\n```\nb\n~~~", ["a\n```\nb\n"]),
        ("````md\n```js\na\n```\n````", ["```js\na\n```\n"]),
        ("- item\n  ```sh\n  a\n  ```\n- next", ["  a\n"]),
        ("1. ```sh\n   a\n   ```", ["   a\n"]),
        ("> ```\n> a\n> ```", ["> a\n"]),
        ("```\na", ["a"]),
        ("a ```b``` c", []),
        ("```a``` alone", []),
        ("```js\na\n```js\nb\n```", ["a\n```js\nb\n"]),
    ],
)
def test_fences(content, bodies):
    assert texts(Turn("user", content).fences) == bodies


def test_a_fence_says_whether_it_is_closed_and_what_it_is():
    first, second = Turn("user", "```js {1}\na\n```\n\n```\nb").fences
    assert (first.info, first.closed, second.closed) == ("js {1}", True, False)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        ("`a` and `b c`", ["a", "b c"]),
        ("``a`b``", ["a`b"]),
        ("a ` b", []),
        ("`a\n\nb `d`", ["d"]),
        ("`a\nb`", ["a\nb"]),
        ("```\n`x`\n```\n`y`", ["y"]),
    ],
)
def test_inline_code(content, codes):
    assert texts(Turn("user", content).inline) == codes


@pytest.mark.parametrize(
    ("content", "urls"),
    [
        ("See https://x.org/a. Next", ["https://x.org/a"]),
        ("(https://x.org/a)", ["https://x.org/a"]),
        ("https://x.org/a_(b)", ["https://x.org/a_(b)"]),
        ("https://x.org/aを見る。", ["https://x.org/a"]),
        ("https://ja.wikipedia.org/wiki/蛙 など", ["https://ja.wikipedia.org/wiki/蛙"]),
        ("「https://x.org/a」", ["https://x.org/a"]),
    ],
)
def test_addresses(content, urls):
    assert texts(Turn("user", content).urls) == urls


def test_prose_is_what_was_to_be_translated():
    content = (
        '# Head {#head}\n\nSee [the page](https://x.org/a "t") and `code` for {name} and $x^2$.\n\n'
        '```js\nconst a\n```\n\n<Note kind="a">Words</Note> <!-- gone --> {/* gone */}'
    )
    turn = Turn("user", content)
    assert turn.prose.split() == [
        "#",
        "Head",
        "See",
        "[the",
        "page](",
        '"t")',
        "and",
        "for",
        "and",
        ".",
        "Words",
    ]
    assert len(turn.prose) == len(content)
    assert [i for i, c in enumerate(turn.prose) if c == "\n"] == [
        i for i, c in enumerate(content) if c == "\n"
    ]


def test_sentences_and_blocks():
    turn = Turn("user", "One. Two!\n三です。「四？」五\n\nSix")
    assert texts(turn.sentences) == ["One.", "Two!", "三です。", "「四？」", "五", "Six"]
    assert len(turn.blocks) == 2
    assert [turn.content[one.start : one.stop] for one in turn.sentences] == texts(turn.sentences)


@given(st.text(alphabet="`~ \n-#>|*[]()<>{}$\\abあ。.:/!0", max_size=300))
@settings(max_examples=200, deadline=None)
def test_places_hold_for_any_text(content):
    turn = Turn("user", content)
    for blanked in (turn.outside, turn.without_code, turn.without_marks, turn.prose):
        assert len(blanked) == len(content)
        assert all(new in (old, " ") for old, new in zip(content, blanked, strict=True))
        assert [c == "\n" for c in blanked] == [c == "\n" for c in content]
    for piece in turn.inline:
        assert piece.text in content[piece.start : piece.stop]
    assert turn.stray_ticks >= 0


ATTACKS = ["`", "``` ", "`a ``b ", "~~~\n", "<a ", "<!-- ", "[a](", "](", "$a ", "\\[", "{{", "{", "{#", "**", "| ", "- a\n",
           "http://", "(", "a\n\n", "    a\n\n", "”", "1.", "万", "一", ":a:`", "'", '"', "/*", "%(", "ア", "a1-"]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_long_text_is_read_as_a_short_one(attack):
    """How the time grows with the length: ``benchmarks/checks.py --only growth``."""
    short, long = (Turn("user", attack * count) for count in (50, 50_000 // len(attack)))
    for part in ("prose", "without_marks"):
        assert len(getattr(long, part)) <= len(long.content) + 1
        assert set(getattr(long, part)) <= set(getattr(short, part)) | set(attack) | {" ", "\n"}
    for part in ("fences", "inline"):
        assert bool(getattr(long, part)) == bool(getattr(short, part))


@pytest.mark.parametrize(
    ("katakana", "latin", "same"),
    [
        ("コンポーネント", "component", True),
        ("ブラウザー", "browser", True),
        ("チャーチル", "churchill", True),
        ("フランス", "france", True),
        ("データベース", "database", True),
        ("チーズ", "component", False),
        ("サンドイッチ", "browser", False),
    ],
)
def test_words_by_their_sound(katakana, latin, same):
    assert alike(sound_of_katakana(katakana), sound_of_latin(latin)) is same
