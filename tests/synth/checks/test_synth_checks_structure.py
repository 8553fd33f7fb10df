"""The structure checks: for each code a fault that it must tell, and a translation beside it that is fine."""

import pytest

from watari.synth.checks.addresses import addresses, place_of
from watari.synth.checks.catalogue import turns
from watari.synth.checks.code import code
from watari.synth.checks.content import content
from watari.synth.checks.finding import Meta, Severity
from watari.synth.checks.formats import formats
from watari.synth.checks.inline import inline
from watari.synth.checks.markup import markup
from watari.synth.checks.numbers import numbers
from watari.synth.checks.outline import outline
from watari.synth.checks.placeholders import placeholders


def hard(check, original, made, **meta):
    """Return the hard codes that a check tells of one turn, each once."""
    found = check(
        turns([{"role": "user", "content": original}]),
        turns([{"role": "user", "content": made}]),
        Meta(**meta),
    )
    return sorted({finding.code for finding in found if finding.severity is Severity.HARD})


def fence(body, info="js"):
    return f"Before.\n\n```{info}\n{body}\n```\n\nAfter."


SCRIPT = "// Count the stars\nconst total = stars.length;\nfunction show() {\n  print('There are', total);\n}"


@pytest.mark.parametrize(
    ("target", "codes"),
    [
        (SCRIPT, []),
        (SCRIPT.replace("Count the stars", "星を数える").replace("There are", "星の数"), []),
        (SCRIPT.replace("const", "定数"), ["code-changed"]),
        (SCRIPT.replace("total", "合計"), ["code-changed"]),
        (SCRIPT.replace("  print('There are', total);\n", ""), ["code-changed"]),
        (SCRIPT.replace("  print", "print"), ["code-changed"]),
        (SCRIPT.replace(";", "；"), ["code-changed"]),
        (SCRIPT.replace("'", "’"), ["code-changed"]),
        (SCRIPT + "\nshow();", ["code-changed"]),
    ],
)
def test_code_may_be_translated_in_comments_and_strings_only(target, codes):
    assert hard(code, fence(SCRIPT), fence(target)) == codes


@pytest.mark.parametrize(
    ("source", "target", "info", "codes"),
    [
        ('<p class="x">Hello, {name}!</p>', '<p class="x">こんにちは、{name}さん！</p>', "jsx", []),
        ("<p>Hello</p>\n<b>it</b>", "<p>やあ</p>", "html", ["code-changed"]),
        ("# It's done\nrun --all  # now", "# 完了\nrun --all  # いま", "sh", []),
        ('x = """A text\nof two lines"""\ny = 2', 'x = """二行の\n文"""\ny = 2', "python", []),
        ("import a from './a.js'", "import a from './あ.js'", "js", ["code-changed"]),
        ("<b @click=\"warn('No')\">x</b>", "<b @click=\"warn('だめ')\">x</b>", "vue-html", []),
        ("<b @click=\"warn('No')\">x</b>", "<b @click=\"警告('No')\">x</b>", "vue-html", ["code-changed"]),
        ("wait(500) // five", "wait(5000) // 五", "js", ["code-changed"]),
        ("f(`a ${x} b`)", "f(`あ ${x} い`)", "js", []),
        ("f(`a ${x} b`)", "f(`あ ${y} い`)", "js", ["code-changed"]),
        (
            "Write a poem about the old pond and the frog.\nAnswer in three short lines, please.",
            "古い池と蛙についての詩を書いてください。\n短い三行で答えてください。",
            "",
            [],
        ),
    ],
)
def test_skeletons(source, target, info, codes):
    assert hard(code, fence(source, info), fence(target, info)) == codes


def test_lost_fences_and_other_languages():
    assert hard(code, fence(SCRIPT), "Before.\n\nAfter.") == ["code-block-count"]
    assert hard(code, fence(SCRIPT), fence(SCRIPT, "python")) == ["code-changed"]
    assert hard(code, fence(SCRIPT, "js {2,3}"), fence(SCRIPT, "js {2,4}")) == ["code-changed"]
    assert hard(code, fence(SCRIPT), fence(SCRIPT)[:-10]) == ["code-changed"]  # its end is missing


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("Call `open()` or `close()`.", "`close()` か `open()` を呼びます。", []),
        ("Call `open()`, then `open()` again.", "`open()` を二度呼びます。", []),
        ("Call `openFile`.", "`開くFile` を呼びます。", ["inline-code-changed"]),
        ("Call `openFile`.", "`openFil` を呼びます。", ["inline-code-changed"]),
        ("Call `openFile`.", "openFile を呼びます。", ["inline-code-lost"]),
        ("Call `openFile`.", "「openFile」を呼びます。", ["inline-code-lost"]),
        ("Use `a.b` and `c.d` here.", "`a.b` と `` をここで使います。", ["inline-code-broken"]),
        ("Call `openFile` or `close`.", "openFile か `close` を呼びます。", ["inline-code-lost"]),
        ("`rm {{path/to/file}}`", "`rm {{ファイルのパス}}`", []),
        ("Set the `width` of it.", "その `幅` を決めます。", []),
        ("See :exc:`ValueError` there.", "そこの :exc:`値` を見ます。", ["inline-code-changed"]),
        ("See the :term:`file object`.", ":term:`ファイルオブジェクト <file object>` を見ます。", []),
        ("The file\n`a\nb.txt` is new.", "`a b.txt` は新しい。", []),
    ],
)
def test_inline_code(source, target, codes):
    assert hard(inline, source, target) == codes


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("[a](https://x.org/en-US/docs/A#b) c", "[あ](https://x.org/ja/docs/A#う) か", []),
        ("[a](https://en.wikipedia.org/wiki/Frog)", "[あ](https://ja.wikipedia.org/wiki/カエル)", []),
        ("[a](https://x.dev/guide)", "[あ](https://ja.x.dev/guide)", []),
        ("See https://x.org/a (new).", "https://x.org/a（新しい）を見ます。", []),
        ("[a](/docs/one)", "[あ](/docs/one)と[い](/docs/one)", []),
        ("[a](https://x.org/docs/one)", "[あ](https://x.co.jp/docs/one)", ["url-changed"]),
        ("[a](https://x.org/docs/one)", "[あ](https://x.org/docs)", ["url-changed"]),
        ("[a](https://x.org/docs/one/two)", "[あ](https://x.org/docs/on...)", ["url-changed"]),
        ("[a](/docs/one)", "[あ]()", ["url-broken", "url-changed"]),
        ("See https://x.org/a now.", "それを見ます。", ["url-changed"]),
        ("![p](img/cat.png)", "![絵](img/猫.png)", ["url-changed"]),
    ],
)
def test_addresses(source, target, codes):
    assert hard(addresses, source, target) == codes


def test_where_addresses_lead():
    assert place_of("https://www.X.org/en/a/index.html?q=1#z") == place_of("http://x.org/ja/a")
    assert place_of("#here") == place_of("#ここ") == "#"
    assert place_of("https://x.org/a") != place_of("https://x.org/b")


PAGE = "# Title\n\nSome **bold** words.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[x](/y)"
PAGE_JA = "# 題\n\n**太い**言葉。\n\n- 一\n- 二\n\n| あ | い |\n|---|---|\n| 1 | 2 |\n\n[え](/y)"


@pytest.mark.parametrize(
    ("target", "codes"),
    [
        (PAGE_JA, []),
        (PAGE_JA.replace("# 題", "題"), ["headings-changed"]),
        (PAGE_JA.replace("# 題", "## 題"), ["headings-changed"]),
        (PAGE_JA.replace("- 一\n- 二", "一、二"), ["list-changed"]),
        (PAGE_JA.replace("- 一\n- 二", "・一\n・二"), []),
        (PAGE_JA.replace("| 1 | 2 |", "| 1 |"), ["table-changed"]),
        (PAGE_JA.replace("| 1 | 2 |\n", ""), ["table-changed"]),
        (PAGE_JA.replace("](", "] ("), ["links-changed"]),
        (PAGE_JA.replace("[え](/y)", "え"), ["links-changed"]),
        (PAGE_JA.replace("い**", "い"), ["bold-changed"]),
        (PAGE_JA.replace("\n\n", "\n"), ["blocks-changed"]),
        (PAGE_JA.replace("**太い**言葉。\n\n", ""), ["blocks-changed"]),
    ],
)
def test_outline(target, codes):
    assert hard(outline, PAGE, target) == codes


def test_an_editor_may_join_paragraphs():
    assert hard(outline, "One.\n\nTwo.", "一。二。", free=True) == []
    # Two paragraphs as one lose nothing; a page's form is its blocks.
    assert hard(outline, "One.\n\nTwo.", "一。二。") == []
    assert hard(outline, "# One\n\nTwo.\n\nThree.", "# 一\n\n二。三。", free=True) == ["blocks-changed"]
    assert hard(outline, "One.\n\nTwo.\n\nThree.", "一。二。三。") == ["blocks-changed"]
    assert hard(outline, "One.\n\nTwo.", "一。\n\n二。\n\n三。", free=True) == ["blocks-changed"]


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("## A {#a-b}", "## あ {#a-b}", []),
        ("## A {#a-b}", "## あ {#あ}", ["anchor-changed"]),
        ("## A {/*a-b*/}", "## あ", ["anchor-changed"]),
        ("Dear {name}, you have {count}.", "{name}様、{count}あります。", []),
        ("Dear {name}, you have {count}.", "{name}様、count あります。", ["placeholder-changed"]),
        ("Dear {{name}}!", "{{名前}}様！", []),
        ("Dear {{name}}!", "｛｛name｝｝様！", ["placeholder-changed"]),
        ("%s of %d files", "%d ファイル中の %s", []),
        ("%s of %d files", "% d ファイル中の %s", ["placeholder-changed"]),
        ("a 5% discount", "5%の割引", []),
        ("Set $HOME first.", "まず $HOME を設定します。", []),
        ("Set $HOME first.", "まず $家 を設定します。", ["placeholder-changed"]),
        ("See :class:`A`.", ":class:`A` を見ます。", []),
        ("See :class:`A`.", ":クラス:`A` を見ます。", ["role-changed"]),
        ("The |version| one", "|version| のもの", []),
        ("The |version| one", "版のもの", ["placeholder-changed"]),
    ],
)
def test_placeholders(source, target, codes):
    assert hard(placeholders, source, target) == codes


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("<Note>Hi</Note>", "<Note>やあ</Note>", []),
        ("<Note>Hi</Note>", "<注>やあ</注>", ["markup-changed"]),
        ("<Note>Hi</Note>", "＜Note＞やあ</Note>", ["markup-changed"]),
        ("a <br/> b", "あ い", ["markup-changed"]),
        ("More: <https://x.org>", "詳細: <https://x.org>", []),
        ("More: <https://x.org>", "詳細: https://x.org", ["markup-changed"]),
        ("if a < b and c > d", "a < b かつ c > d なら", []),
    ],
)
def test_markup(source, target, codes):
    assert hard(markup, source, target) == codes


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("There are 16.7 million colours.", "1670万色あります。", []),
        ("There are 16.7 million colours.", "167万色あります。", ["number-changed"]),
        ("On December 3rd, 2021.", "2021年12月3日に。", []),
        ("On December 3rd, 2021.", "2021年12月4日に。", ["number-changed"]),
        ("It takes one hour.", "1時間かかります。", []),
        ("It takes two hours.", "3時間かかります。", ["number-changed"]),
        ("Wait 10,000 ms.", "１万ミリ秒待ちます。", []),
        ("Wait 3 seconds.", "三秒待ちます。", []),
        ("Version 3.4 is out.", "バージョン 3.4 が出ました。", []),
        ("Version 3.4 is out.", "バージョン 3.40 が出ました。", ["number-changed"]),
        ("Use React 18.", "React 18 を、React 18 だけを使います。", []),
        ("Use React 18.", "React 180 を使います。", ["number-changed"]),
        ("At 3 pm.", "15時に。", []),
        ("In the 1990s.", "1990年代に。", []),
        ("The first of them.", "その1番目。", []),
        ("Only 5 apples are left.", "りんごが残っています。", []),
        ("A hundred people came.", "100人来ました。", []),
        ("width={8} here", "width={9} ここ", ["number-changed"]),
        ("HTML, CSS and JavaScript.", "HTML、CSS、JavaScript の 3 つ。", []),
        ("In the nineteenth century.", "19世紀に。", []),
        ("In the nineteenth century.", "18世紀に。", ["number-changed"]),
        ("The fiftieth of them.", "50番目。", []),
        ("He lived 1305–58.", "1305年から1358年まで生きた。", []),
        ("He lived 1305–58.", "1305年から1359年まで生きた。", ["number-changed"]),
    ],
)
def test_numbers(source, target, codes):
    assert hard(numbers, source, target) == codes


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        ("It is 10 miles away.", "16キロ先です。", []),
        ("It is 10 miles away.", "16個あります。", ["number-changed"]),
        ("It costs $2 a piece.", "1つ200円です。", []),
        ("In 748 he went to Ecchu.", "748年（天平20年）越中へ行った。", []),
        ("He was born in 1866.", "慶応2年（1866年）に生まれる。", []),
        ("He was born in 1866.", "1867年に生まれる。", ["number-changed"]),
    ],
)
def test_measures_money_and_eras(source, target, codes):
    assert hard(numbers, source, target) == codes


def test_an_editor_may_change_units():
    assert hard(numbers, "It is 10 miles away.", "16キロ先です。", free=True) == []


def test_number_words_of_other_languages_are_not_known():
    assert hard(numbers, "Il y a douze oiseaux.", "鳥が12羽います。", source="fr") == []
    assert hard(numbers, "Il y a 12 oiseaux.", "鳥が13羽います。", source="fr") == ["number-changed"]


WALK = (
    "My father bought a small house near the river. Every morning he walked along the water with his dog. "
    "In the evening he wrote long letters to his old friends. He never forgot the names of their children."
)
WALK_JA = [
    "父は川の近くに小さな家を買いました。",
    "毎朝、犬と一緒に水辺を歩いていました。",
    "夜には、古い友人たちに長い手紙を書きました。",
    "彼らの子供たちの名前を決して忘れませんでした。",
]


def test_a_whole_translation_is_fine():
    assert hard(content, WALK, "".join(WALK_JA)) == []


@pytest.mark.parametrize("dropped", [(0, 1), (1, 2), (2, 3)])
def test_two_sentences_of_four_are_missed(dropped):
    left = "".join(line for number, line in enumerate(WALK_JA) if number not in dropped)
    assert hard(content, WALK, left) == ["omission"]


def test_the_missing_place_is_named():
    found = content(
        turns([{"role": "user", "content": WALK}]),
        turns([{"role": "user", "content": "".join(WALK_JA[:2])}]),
        Meta(),
    )
    span = found[0].span
    assert span is not None
    assert span.side == "source"
    assert WALK[span.start : span.stop].startswith("In the evening")


def test_another_texts_target():
    other = (
        "この関数は配列の要素を並べ替えて、新しい文字列を返します。エラーが発生した場合は例外を送出します。"
    )
    assert hard(content, WALK, other) == ["wrong-pair"]
    assert hard(content, WALK, other, target="fr") == []  # there is no lexicon for this pair


def test_katakana_is_known_by_its_sound():
    source = "The component renders a button in the browser, and the server sends a template to the client."
    same = "コンポーネントはブラウザーにボタンをレンダーし、サーバーはテンプレートをクライアントに送ります。"
    assert hard(content, source, same) == []
    assert hard(content, source, "チーズとトマトのサンドイッチにはバターとマヨネーズがよく合います。") == [
        "wrong-pair"
    ]


@pytest.mark.parametrize(
    ("source", "target", "codes"),
    [
        (fence('{"name": "a", "n": 1}', "json"), fence('{"name": "あ", "n": 1}', "json"), []),
        (fence('{"name": "a", "n": 1}', "json"), fence('{"name": "あ"、"n": 1}', "json"), ["json-broken"]),
        ('{"name": "a"}', "{「名前」: 「あ」}", ["json-broken"]),
        ("If $x^2 = 4$ then $x = 2$.", "$x^2 = 4$ ならば $x = 2$。", []),
        ("If $x^2 = 4$ then $x = 2$.", "\\(x^2 = 4\\) ならば $x=2$。", []),
        ("If $x^2 = 4$ then so.", "$x^3 = 4$ ならばそうだ。", ["math-changed"]),
        ("$$\\frac{a}{\\text{all}}$$", "$$\\frac{a}{\\text{全体}}$$", []),
        ("It costs $5 or $6 today.", "今日は5ドルか6ドルです。", []),
    ],
)
def test_what_programs_read(source, target, codes):
    assert hard(formats, source, target) == codes
