"""Checks of what a text says: each code with a fault of its kind, and with what looks like one and is none."""

from __future__ import annotations

import pytest

from watari.synth.checks import (
    answers,
    leftovers,
    mojibake,
    register,
    repetition,
    roles,
    terms,
    tongues,
    truncation,
    untranslated,
    wrapping,
)
from watari.synth.checks.finding import Finding, Meta, Severity
from watari.synth.checks.text import Turn

MODULES = (
    answers,
    leftovers,
    mojibake,
    register,
    repetition,
    roles,
    terms,
    tongues,
    truncation,
    untranslated,
    wrapping,
)
PARK = "We would like to go to the park with our friends today. It is not far from here."
KOEN = "今日は友達と一緒に公園へ行きたいです。ここから遠くありません。"


def findings(source: list[Turn], target: list[Turn], meta: Meta | None = None) -> list[Finding]:
    return [
        found
        for module in MODULES
        for check in module.CHECKS
        for found in check.run(source, target, meta or Meta())
    ]


def told(source: str, target: str, meta: Meta | None = None) -> set[str]:
    """Return the codes for a row of one turn."""
    return {found.code for found in findings([Turn("user", source)], [Turn("user", target)], meta)}


def chat(source: list[str], target: list[str]) -> set[str]:
    """Return the codes for a conversation."""
    sides = [
        [Turn("assistant" if place % 2 else "user", text) for place, text in enumerate(side)]
        for side in (source, target)
    ]
    return {found.code for found in findings(*sides, Meta(kind="chat"))}


def test_a_plain_translation_is_told_nothing() -> None:
    assert told(PARK, KOEN) == set()


@pytest.mark.parametrize(
    ("code", "source", "target"),
    [
        ("empty", PARK, " \n"),
        ("empty", PARK, "……"),
        ("empty", PARK, "N/A"),
        ("empty", PARK, "（翻訳なし）"),
        ("empty", PARK, "**[Translation]**"),
        ("refusal", PARK, "申し訳ございませんが、その文章を訳すことはできかねます。"),
        ("refusal", PARK, "私はAIアシスタントですので、そのようなお願いにはお答えできません。"),
        ("refusal", PARK, "人工知能として、この内容についてはお話しできません。"),
        ("refusal", PARK, "恐れ入りますが、原文を入力してください。"),
        ("refusal", PARK, "I’m sorry, but I’m not able to help with this text.\n\n" + KOEN),
        ("refusal", PARK, "Could you please paste the text you want me to translate?"),
        ("preamble", PARK, "かしこまりました。以下が和訳です。\n\n" + KOEN),
        ("preamble", PARK, "**日本語訳：**\n" + KOEN),
        ("preamble", PARK, "Of course! Here’s the Japanese version:\n" + KOEN),
        ("preamble", PARK, "Translation: " + KOEN),
        ("postscript", PARK, KOEN + "\n\n以上が和訳になります。ご確認ください。"),
        ("postscript", PARK, KOEN + "\n\n修正が必要でしたら、お気軽にお申し付けください。"),
        ("postscript", PARK, KOEN + "\n\n(Note: I translated this casually.)"),
        ("marker-left", PARK, KOEN + "</translation>"),
        ("marker-left", PARK, KOEN + "<|im_end|>"),
        ("outer-fence", PARK, "```\n" + KOEN + "\n```"),
        ("outer-quotes", PARK, "「" + KOEN + "」"),
        ("source-kept", PARK, PARK + "\n" + KOEN),
        ("untranslated", PARK, PARK),
        ("untranslated-sentence", PARK, "今日は友達と一緒に公園へ行きたいです。It is not far from here."),
        ("added-source-language", PARK, KOEN + " This is the end of the story."),
        ("wrong-language", PARK, "我们今天想和朋友们一起去公园。离这里不远。"),
        ("wrong-language", PARK, "오늘은 친구들과 함께 공원에 가고 싶습니다."),
        ("wrong-language", PARK, "Сегодня мы хотим пойти в парк с друзьями."),
        ("leak", PARK, "今日は친구と公園へ行きたいです。ここから遠くありません。"),
        ("leak", PARK, "今日はเพื่อนと公園へ行きたいです。ここから遠くありません。"),
        ("leak", PARK, "今日は友達们と公園へ行きたいです。这里から遠くありません。"),
        ("leak", PARK, "今日は友達とcông viênへ行きたいです。ここから遠くありません。"),
        ("leak", PARK, KOEN + "\n\n我们今天想和朋友们一起去公园。"),
        ("subword-left", "A wonderful feast was served.", "すばらしい御feas走が出ました。"),
        (
            "word-left",
            "There is a trap near the old farm house.",
            "古い農家の近くにtrapがあります。",
        ),
        ("mojibake", PARK, "今日は友�と公園へ行きたいです。"),
        ("mojibake", PARK, KOEN.encode().decode("cp1252", "replace")),
        ("mojibake", PARK, KOEN.encode().decode("cp932", "replace")),
        ("byte-tokens", PARK, KOEN + "<0xE3><0x81><0x82>"),
        ("escapes", PARK, "\\u4eca\\u65e5は公園へ行きたいです。"),
        ("entities", PARK, "今日は友達&amp;家族と公園へ行きたいです。"),
        ("control-characters", PARK, "今日は\x00公園へ行きたいです。"),
        ("loop", PARK, "今日は公園へ" + "行きたいです、" * 12),
        ("loop", PARK, "今日は公園へ行きたいいいいいいいいいいいいいいい"),
        ("said-again", PARK, KOEN + "\n\n" + KOEN),
        ("truncated", PARK, "今日は友達と一緒に公園へ行きたいです。ここから遠"),
        ("truncated", PARK, "今日は友達（高校からの"),
        (
            "truncated",
            PARK,
            "今日は高校のときからの友達と一緒に公園へ行きたいと思っています。ここから遠い公園",
        ),
        (
            "truncated",
            "Run it:\n\n```sh\nmake\n```\n\nThen look at it.",
            "実行します。\n\n```sh\nmake\n",
        ),
        ("role-label", PARK, "ユーザー: " + KOEN),
        ("role-label", PARK, KOEN + "\nAssistant: わかりました。"),
    ],
)
def test_a_fault_is_told(code: str, source: str, target: str) -> None:
    assert code in told(source, target)


@pytest.mark.parametrize(
    ("code", "source", "target"),
    [
        ("empty", "None", "None"),
        ("empty", "No.", "なし。"),
        ("empty", "---", "---"),
        ("refusal", "I’m sorry, but I can’t help you with that.", "申し訳ありませんが、お手伝いできません。"),
        ("refusal", "As an AI, I do not have feelings.", "AIとして、私には感情がありません。"),
        ("refusal", "Sorry, that is not possible.", "申し訳ありませんが、それはできません。"),
        ("refusal", "The server cannot answer.", "サーバーは応答できません。"),
        (
            "refusal",
            "The conversation goes on for a while. " * 18 + "“I’m so sorry, impossible,” it says.",
            "会話はしばらく続きます。" * 18 + "「申し訳ありませんが、できません」と言います。",
        ),
        ("refusal", "Please enter the text.", "テキストを入力してください。"),
        ("preamble", "Sure! Here is a list of parks:\n1. Ueno", "はい、以下が公園の一覧です。\n1. 上野"),
        (
            "preamble",
            "Here is how we translate it:\nFirst, read.",
            "翻訳の方法は以下の通りです。\nまず読みます。",
        ),
        ("preamble", "Result: three points.", "結果：三点です。"),
        (
            "postscript",
            "It works.\n\nLet me know if you have questions.",
            "動きます。\n\nご質問があればお知らせください。",
        ),
        ("postscript", "Do this.\n\nNote: it takes long.", "これをします。\n\n注：時間がかかります。"),
        ("marker-left", "Close it with </s>.", "</s>で閉じます。"),
        ("outer-fence", "```\nls\n```", "```\nls\n```"),
        ("outer-quotes", '"We are late," he said.', "「遅れたよ」と彼は「小声」"),
        ("outer-quotes", "He was late and tired.", "「遅刻」した彼は「疲れた」"),
        ("untranslated", "count() (sequence method)", "count() (シーケンスのメソッド)"),
        ("untranslated", "Python 3.11", "Python 3.11"),
        (
            "untranslated-sentence",
            "He sang “All the World to You”.",
            "彼は『All the World to You』を歌った。",
        ),
        (
            "untranslated-sentence",
            "<ConsoleBlock>\nThe value of the field is not known to us.\n</ConsoleBlock>\n\nMend it.",
            "<ConsoleBlock>\nThe value of the field is not known to us.\n</ConsoleBlock>\n\n直します。",
        ),
        ("added-source-language", "He bought a game.", "彼はゲーム（The Legend of the Sea）を買った。"),
        ("wrong-language", "Tokyo Metropolitan University", "東京都立大学大学院理学研究科生命科学専攻"),
        ("wrong-language", "Heian, Kamakura, Muromachi, Edo", "平安時代、鎌倉時代、室町時代、江戸時代"),
        ("leak", "The Korean word 친구 means friend.", "韓国語の친구は友達という意味です。"),
        ("leak", "The angle α is small.", "角度αは小さい。"),
        ("leak", "There is demand for bread.", "パンの需要があります。"),
        ("leak", "It is all right.", "大丈夫です。都会で認知道具を使い、全部是正した。"),
        ("subword-left", "It is 5 km long.", "長さは5kmです。約3mmの穴があります。"),
        ("subword-left", "Pass `props` to the component.", "propsをコンポーネントに渡します。"),
        ("word-left", "Set `ref` in the code of the app.", "アプリのコードでrefを設定します。"),
        ("mojibake", "The café is near.", "カフェ「Café à la mode」は近い。"),
        ("escapes", "Write \\u3042 in the file.", "ファイルに\\u3042と書きます。"),
        ("entities", "Use &amp; here.", "ここでは&amp;を使います。"),
        ("loop", "Ha ha ha ha ha ha!", "ははははははは！"),
        ("loop", "| a | b |\n|---|---|\n| 1 | 1 |", "| あ | い |\n|-----|-----|\n| 1 | 1 |"),
        ("said-again", "Yes. He said yes. Yes.", "はい。彼ははいと言った。はい。"),
        ("truncated", "How to make tea", "お茶の入れ方"),
        ("truncated", "He went home.", "彼は家に帰りました"),
        ("truncated", "See `make help`.", "`make help`"),
        ("role-label", "User: hello\nAI: hi", "ユーザー: こんにちは\nAI: やあ"),
        ("role-label", "The user is here: Tokyo.", "利用者はここにいます: 東京"),
        ("register-mix", PARK, KOEN),
    ],
)
def test_what_looks_like_a_fault_is_not_told(code: str, source: str, target: str) -> None:
    assert code not in told(source, target)


def test_a_cut_answer_is_told_by_its_finish_reason() -> None:
    assert "finish-reason" in told(PARK, KOEN, Meta(finish_reason="length"))
    assert "finish-reason" in told(PARK, KOEN, Meta(finish_reason="content_filter"))
    assert told(PARK, KOEN, Meta(finish_reason="stop")) == set()


QUESTION = "What should I eat in Osaka?"
ANSWER = "You could try takoyaki. It is a ball of dough with octopus in it."
SHITSUMON = "大阪では何を食べるべきですか？"
KOTAE = "たこ焼きはいかがでしょうか。中にタコが入った丸い粉ものです。"


@pytest.mark.parametrize(
    ("code", "target"),
    [
        ("answered", [KOTAE, KOTAE]),
        ("answered", ["大阪ならたこ焼きが有名です。", KOTAE]),
        ("turn-count", [SHITSUMON]),
        ("turn-count", [f"{SHITSUMON}\n\n{KOTAE}"]),
        ("turn-count", [SHITSUMON, KOTAE, "ありがとう。"]),
    ],
)
def test_a_faulty_conversation_is_told(code: str, target: list[str]) -> None:
    assert code in chat([QUESTION, ANSWER], target)


def test_a_translated_question_is_not_taken_for_an_answer() -> None:
    assert chat([QUESTION, ANSWER], [SHITSUMON, KOTAE]) == set()
    assert chat(["Tell me a recipe.", ANSWER], ["レシピを教えてください。", KOTAE]) == set()
    meta = Meta(target="fr", kind="chat")
    french = [Turn("user", "Donnez-moi une recette."), Turn("assistant", "Prenez deux oeufs.")]
    english = [Turn("user", "Give me a recipe."), Turn("assistant", "Take two eggs.")]
    assert answers.answered(english, french, meta) == []
    assert chat(["I am tired today.", ANSWER], ["今日は疲れています。", KOTAE]) == set()


def test_a_question_whose_answer_takes_up_its_words_is_a_question() -> None:
    japanese = [
        Turn("user", "市場の三番入口はどこですか？"),
        Turn("assistant", "市場の三番入口は花屋の隣にあります。"),
    ]
    english = [
        Turn("user", "Where is the third entrance of the market?"),
        Turn("assistant", "The third entrance of the market is next to the florist."),
    ]
    meta = Meta(source="ja", target="en", kind="chat")
    assert answers.answered(japanese, english, meta) == []
    placed = [Turn("user", "The third entrance is next to the florist."), english[1]]
    assert answers.answered(japanese, placed, meta) != []


def test_swapped_speakers_are_told() -> None:
    source = [Turn("user", QUESTION), Turn("assistant", ANSWER)]
    target = [Turn("assistant", SHITSUMON), Turn("user", KOTAE)]
    assert "roles" in {found.code for found in roles.turns(source, target, Meta())}


def test_mixed_registers_are_a_fault_of_a_translation_and_told_of_an_answer() -> None:
    mixed = "雨です。傘がある。駅まで歩きます。家は遠い。電車に乗ります。店は閉まっている。"
    for source, severity in (([], Severity.WARN), ([Turn("assistant", ANSWER)], Severity.HARD)):
        found = register.register(source, [Turn("assistant", mixed)], Meta())
        assert [(one.code, one.severity) for one in found] == [("register-mix", severity)]


@pytest.mark.parametrize(
    "target",
    [
        "次の点に注意します。続きます。\n\n- 傘がある。\n- 家は遠い。",
        "昔話です。お読みください。\n\n雨が降っていた。傘がある家は遠かった。\n\nいかがでしょうか。",
        "彼は来ました。「雨だ。」「傘がある。」と言いました。外は寒いです。",
    ],
)
def test_a_list_a_story_or_speech_in_the_other_register_is_no_fault(target: str) -> None:
    found = register.register([Turn("assistant", ANSWER)], [Turn("assistant", target)], Meta())
    assert [one for one in found if one.severity is Severity.HARD] == []


def test_a_term_of_the_glossary_must_be_translated_so() -> None:
    meta = Meta(glossary={"ledger": "台帳", "Watari": "Watari"})
    assert "glossary" in told("The ledger is open.", "元帳は開いています。", meta)
    assert "glossary" not in told("The ledger is open.", "台帳は開いています。", meta)
    assert "glossary" not in told("The ledgers' colour.", "帳簿の色。", Meta(glossary={"led": "灯"}))


def test_a_name_written_in_two_ways_is_told() -> None:
    source = ["Have you met Hannah?", "Yes, I know Hannah well."]
    assert "names" in chat(source, ["ハンナに会いましたか？", "ええ、Hannahをよく知っています。"])
    assert "names" not in chat(source, ["ハンナに会いましたか？", "ええ、ハンナをよく知っています。"])


def test_findings_say_where() -> None:
    target = "今日は친구と公園へ行きたいです。ここから遠くありません。"
    [found] = findings([Turn("user", PARK)], [Turn("user", target)])
    assert found.span is not None
    assert target[found.span.start : found.span.stop] == "친구"
    assert "친구" in found.message


def test_answers_that_translate_nothing_are_judged_by_themselves() -> None:
    def alone(text: str) -> set[str]:
        target = [Turn("user", SHITSUMON), Turn("assistant", text)]
        return {
            found.code
            for module in MODULES
            for check in module.CHECKS
            if not check.needs_source
            for found in check.run([], target, Meta())
            if found.severity is Severity.HARD
        }

    assert alone(KOTAE) == set()
    assert "refusal" in alone("申し訳ありませんが、そのご質問にはお答えできません。")
    assert "loop" in alone("たこ焼きは" + "おいしい、" * 20)
    assert "leak" in alone("这个たこ焼きはおいしいです。")
    assert "empty" in alone("…")
    assert "leak" in alone("たこ焼きは 맛있는 食べ物です。")
    assert "leak" not in alone("韓国語では 맛있다 と言います。")


def test_every_code_that_is_told_is_declared() -> None:
    declared = {
        (code, severity)
        for module in MODULES
        for check in module.CHECKS
        for code, severity in check.codes.items()
    }
    codes = {code for code, _ in declared}
    seen = findings([Turn("user", PARK)], [Turn("assistant", "申し訳ありません。<0xE3>这" + "あい" * 30)])
    assert seen
    assert {found.code for found in seen} <= codes
