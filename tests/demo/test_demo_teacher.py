"""The demo's teacher: it can say all of the little world in Japanese, and its faults are planted and repeat."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from watari.demo import conversations, parallel, questions
from watari.demo.draws import Draw
from watari.demo.facts import KINDS, SPLITS, draw_fact
from watari.demo.interpreter import CHATTER, Interpreter
from watari.demo.level import FULL
from watari.demo.sentences import facts_told
from watari.demo.smalltalk import SMALL_TALK
from watari.demo.teacher import answer, language_of, plans, segments, translated
from watari.demo.teacher_faults import KINDS as FAULTS
from watari.demo.teacher_faults import LONG, OF_LONG_TEXTS, Plan, planned, with_fault, written
from watari.endpoint.replay import serving
from watari.judge.pairwise import Winner, read_verdict
from watari.judge.wording import judge_texts
from watari.synth.checks.catalogue import run_checks, turns
from watari.synth.checks.finding import Meta
from watari.synth.instruct_reading import read_items
from watari.synth.ladder import Unreadable
from watari.synth.segments import Segment, read_answer

OPTIONS = {"seed": "3"}


def easy(count: int, *, seed: int = 1, language: str = "en", level: str = "easy") -> list[dict[str, Any]]:
    return list(conversations(seed=seed, count=count, language=language, level=level))


def numbered(row: dict[str, Any]) -> dict[int, str]:
    return {number: message["content"] for number, message in enumerate(row["messages"], 1)}


def request(
    source: dict[int, str], *, model: str = "demo-teacher", before: Iterable[Any] = (), **fields: Any
) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "You translate."},
        *before,
        {"role": "user", "content": f"Translate into Japanese. Who speaks: 1 user.\n\n{written(source)}"},
    ]
    return {"model": model, "messages": messages, **fields}


def repair(source: dict[int, str], faulty: str, *, model: str = "demo-teacher") -> dict[str, Any]:
    asked = request(source, model=model)
    more = [
        {"role": "assistant", "content": faulty},
        {"role": "user", "content": f"This is what is wrong:\n- a fault\n\n{written(source)}"},
    ]
    return {**asked, "messages": asked["messages"] + more}


def right(source: dict[int, str]) -> str:
    return written(translated(source)[0])


# -- translation --


@pytest.mark.parametrize("count", [3000, pytest.param(16_000, marks=pytest.mark.slow)])
def test_everything_that_the_easy_world_says_can_be_translated(count: int) -> None:
    untranslatable = [row["id"] for row in easy(count) if translated(numbered(row))[1]]
    assert untranslatable == []


def test_the_full_world_but_for_its_own_translation_tasks() -> None:
    for row in easy(800, level="full"):
        group = json.loads(row["meta"])["group"]
        unknown = translated(numbered(row))[1]
        assert not unknown or group in ("word", "translate"), (group, row["messages"])


def test_sentences_are_translated_as_the_world_has_them() -> None:
    for row in parallel(seed=5, count=60):
        for text in row["text"].split("\n\n"):
            first, *rest = text.split("\n")
            if len(rest) == 1 and "Question" not in text and "質問" not in text:
                english, japanese = (first, rest[0]) if language_of(first) == "en" else (rest[0], first)
                assert Interpreter("en", "ja").translated(english) == japanese
                assert Interpreter("ja", "en").translated(japanese) == english


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_fact_is_read_back_from_each_of_its_wordings(language: str) -> None:
    for kind in KINDS:
        for number in range(60):
            fact = draw_fact(FULL.cast(Draw("read", kind.kind, number)), kind, SPLITS[number % 2])
            for turn, sentence in enumerate(fact.said().of(language)):
                (told,) = facts_told(sentence, language)
                assert (told.fact, told.stop) == (fact, len(sentence))
                assert told.fact.said().of(language)[told.turn] == fact.said().of(language)[turn]


def test_a_count_in_an_answer_has_the_counter_of_what_was_asked_about() -> None:
    source = {
        1: "Tom has nine brown ducks.\nHow many ducks does Tom have?",
        2: "Exactly nine.",
        3: "What animals does Tom have?",
        4: "Some ducks.",
    }
    found, unknown = translated(source)
    assert unknown == []
    assert found == {
        1: "トムさんは茶色いあひるを九羽飼っています。\nトムさんはあひるを何羽飼っていますか。",
        2: "九羽です。",
        3: "トムさんは何を飼っていますか。",
        4: "あひるです。",
    }


def test_a_part_is_understood_by_what_was_shown_before_it() -> None:
    first = {1: "Tom has nine brown ducks.\nHow many ducks does Tom have?"}
    before = request(first)["messages"]
    before.append({"role": "assistant", "content": right(first)})
    assert translated({2: "Exactly nine."}, before) == ({2: "九羽です。"}, [])
    assert translated({2: "Exactly nine."})[1] == [2]


def test_what_is_not_of_the_world_stays_and_is_told() -> None:
    assert translated({1: "The stock market fell."}) == ({1: "The stock market fell."}, [1])
    assert translated({1: "Tom has nine brown ducks. The stock market fell."})[1] == [1]
    assert translated({1: "Tom has nine brown unicorns."})[1] == [1]


def test_all_small_talk_has_a_translation() -> None:
    for user, answers in SMALL_TALK["en"]:
        assert all(language_of(CHATTER[text]) == "ja" for text in (user, *answers))


# -- faults --


def test_the_share_and_the_kinds_of_faults() -> None:
    counts = plans([numbered(row) for row in easy(4000)], seed="3", share=0.2)
    assert sum(counts.values()) == 4000
    # Some that are due to be cut off are not, at this limit.
    assert 0.16 < 1 - counts[""] / 4000 < 0.22
    assert set(counts) == {"", *(name for name, _ in FAULTS)}


def test_faults_go_by_content_and_seed() -> None:
    sources = [numbered(row) for row in easy(400)]
    first = [answer(request(source), 0, OPTIONS) for source in sources]
    assert first == [answer(request(source), 0, OPTIONS) for source in reversed(sources)][::-1]
    other = [answer(request(source), 0, {"seed": "4"}) for source in sources]
    assert first != other
    none = [answer(request(source), 0, {**OPTIONS, "faults": "0"}) for source in sources]
    assert [said["text"] for said in none] == [right(source) for source in sources]


def test_a_repair_mends_most_the_strong_teacher_more_and_a_few_stay() -> None:
    found: Counter[str] = Counter()
    for row in easy(2000, seed=2):
        source = numbered(row)
        wanted = right(source)
        said = answer(request(source), 0, OPTIONS)["text"]
        if said == wanted:
            found["right"] += 1
        elif (said := answer(repair(source, said), 0, OPTIONS)["text"]) == wanted:
            found["repaired"] += 1
        elif (
            said := answer(request(source, model="demo-teacher-strong"), 0, OPTIONS)["text"]
        ) == wanted or answer(repair(source, said, model="demo-teacher-strong"), 0, OPTIONS)[
            "text"
        ] == wanted:
            found["escalated"] += 1
        else:
            found["lost"] += 1
    faulty = 2000 - found["right"]
    assert 0.09 < faulty / 2000 < 0.18
    assert 0.5 < found["repaired"] / faulty < 0.75
    assert 0.15 < found["escalated"] / faulty < 0.4
    assert 0.02 < found["lost"] / faulty < 0.12


def test_each_fault_is_what_its_name_says() -> None:
    source = numbered(easy(30)[1])  # a story with a number, a question, an answer
    good, _ = translated(source)
    made = {name: with_fault(Plan(name, Draw(name)), source, good) for name, _ in FAULTS}
    assert all(text != written(good) for text, _ in made.values())
    assert "できません" in made["refusal"][0]
    assert segments(made["missing"][0]).keys() < good.keys()
    assert source[1] in made["untranslated"][0]
    assert good[1] not in made["untranslated"][0]
    assert source[1] in made["echo"][0]
    assert good[1] in made["echo"][0]
    assert len(made["repetition"][0]) > 1.5 * len(written(good))
    assert written(good).startswith(made["truncated"][0])
    assert made["truncated"][1] == "length"


def test_an_answer_that_was_cut_off_may_be_whole_with_more_tokens() -> None:
    cut = [
        source
        for source in (numbered(row) for row in easy(4000))
        if planned(source, seed="3", share=0.5, strong=False, repair=False, most=512).fault == "truncated"
    ]
    raised = [
        planned(source, seed="3", share=0.5, strong=False, repair=False, most=1024).fault for source in cut
    ]
    assert 0.2 < raised.count("") / len(cut) < 0.6


def test_the_checks_see_every_fault_and_nothing_in_a_right_answer() -> None:
    rows = easy(60, seed=9)
    for row in rows:
        source = numbered(row)
        good, _ = translated(source)
        long = max(map(len, source.values())) >= LONG
        # The check of senses is not sure of greetings of two words.
        assert hard_codes(row, written(good), "stop") - {"wrong-pair"} == set(), row
        for name, _ in FAULTS:
            if long or name not in OF_LONG_TEXTS:
                said, reason = with_fault(Plan(name, Draw(row["id"], name)), source, good)
                assert hard_codes(row, said, reason), (name, said)


def hard_codes(row: dict[str, Any], said: str, reason: str) -> set[str]:
    sent = [Segment(number, number - 1, "user", text) for number, text in numbered(row).items()]
    found = read_answer(said, sent)
    if isinstance(found, Unreadable):
        return {found.code}
    target = [{"role": m["role"], "content": found[number]} for number, m in enumerate(row["messages"], 1)]
    findings = run_checks(turns(row["messages"]), turns(target), Meta(kind="chat", finish_reason=reason))
    return {finding.code for finding in findings if finding.severity == "hard"}


# -- talk --


def test_it_answers_the_examination_in_both_languages() -> None:
    for language in ("en", "ja"):
        wrong = 0
        for row in questions(seed=7, count=300, language=language, level="easy", split="train"):
            body = {"model": "demo-teacher", "messages": row["messages"]}
            said = answer(body, 0, {"seed": "1", "faults": "0"})["text"]
            assert said == row["answers"][0], row["messages"]
            wrong += answer(body, 1, {"seed": "1", "faults": "0"})["text"] != row["answers"][0]
        assert 120 < wrong < 240  # second answers are worse: something to choose from


def test_it_goes_on_with_a_conversation_and_chats() -> None:
    talk = [
        {
            "role": "user",
            "content": "トムさんは茶色いあひるを九羽飼っています。\nトムさんはあひるを何羽飼っていますか。",
        },
        {"role": "assistant", "content": "九羽です。"},
        {"role": "user", "content": "トムさんのあひるは何色ですか。"},
    ]
    said = answer({"model": "m", "messages": talk}, 0, {"faults": "0"})
    assert said == {"text": "茶色です。"}
    hello = answer(
        {"model": "m", "messages": [{"role": "user", "content": "こんにちは。"}]}, 0, {"faults": "0"}
    )
    assert hello["text"].startswith("こんにちは。")
    lost = answer({"model": "m", "messages": [{"role": "user", "content": "What is love?"}]}, 0, {})
    assert lost == {"text": "I do not know."}


def test_it_writes_a_task_of_its_own_where_one_is_asked_for() -> None:
    asked = {
        "role": "user",
        "content": "Write the task and its answer in Japanese, as segments [[1]], [[2]].",
    }
    found = segments(answer({"model": "m", "messages": [asked]}, 0, OPTIONS)["text"])
    assert list(found) == [1, 2]
    assert all(language_of(text) == "ja" for text in found.values())


def test_it_writes_instructions_in_the_form_that_is_asked_for() -> None:
    subjects = "\n".join(f"  {number}. 題材{number}" for number in range(1, 5))
    for system in (False, True):
        form = (
            "<<<1>>>\n[[system]]\n…\n[[user]]\n…\n<<<end>>>" if system else "<<<1>>>\n[[user]]\n…\n<<<end>>>"
        )
        asked = {"role": "user", "content": f"依頼文を4件書いてください。\n{subjects}\n{form}"}
        said = answer({"model": "m", "messages": [asked]}, 0, {"seed": "1", "faults": "0"})["text"]
        items = read_items(said, 4, system=system)
        assert [item.reason for item in items] == [""] * 4
        assert len({item.messages[-1]["content"] for item in items}) == 4
        for item in items:
            body = {"model": "m", "messages": item.messages}
            assert answer(body, 0, {"faults": "0"})["text"] != "分かりません。"
        faulty = answer({"model": "m", "messages": [asked]}, 0, {"seed": "1", "faults": "1"})["text"]
        assert faulty != said


def test_it_says_what_a_user_asks_next() -> None:
    story = "トムさんは茶色いあひるを九羽飼っています。"
    talk = f"[user]\n{story}\nトムさんはあひるを何羽飼っていますか。\n\n[assistant]\n九羽です。\n\n次の発言を書いてください。"
    said = answer({"model": "m", "messages": [{"role": "user", "content": talk}]}, 0, {"faults": "0"})["text"]
    again = [{"role": "user", "content": story}, {"role": "user", "content": said}]
    assert said.endswith("か。")
    assert said not in talk
    assert answer({"model": "m", "messages": again}, 0, {"faults": "0"})["text"] != "分かりません。"


@pytest.mark.parametrize("form", ["brackets", "json"])
def test_it_judges_by_the_story_in_both_orders(form: Any) -> None:
    texts = judge_texts("ja")
    request = texts.request if form == "brackets" else texts.request_json
    question = (
        "[ユーザー]\nトムさんは茶色いあひるを九羽飼っています。\nトムさんはあひるを何羽飼っていますか。"
    )

    def judged(a: str, b: str) -> Winner | None:
        content = (
            request.replace("{conversation}", question).replace("{answer_a}", a).replace("{answer_b}", b)
        )
        body = {"model": "m", "messages": [{"role": "user", "content": content}]}
        return read_verdict(answer(body, 0, {"faults": "0"})["text"], form)

    assert judged("九羽です。", "八羽です。") is Winner.A
    assert judged("八羽です。", "九羽です。") is Winner.B
    assert judged("九羽です。", "九羽です。") is Winner.TIE
    assert judged("そうですね。九羽です。たぶん。", "九羽です。") is Winner.B
    assert judged("そうですね。九羽です。たぶん。", "Exactly nine.") is Winner.A


def test_an_answer_whose_faults_are_told_is_mended() -> None:
    question = {
        "role": "user",
        "content": "トムさんは茶色いあひるを九羽飼っています。\nトムさんはあひるを何羽飼っていますか。",
    }
    told = [
        {"role": "assistant", "content": "Exactly nine."},
        {"role": "user", "content": "次の問題があります。\n- 英語です"},
    ]
    said = answer({"model": "m", "messages": [question, *told]}, 0, {"faults": "0"})
    assert said == {"text": "九羽です。"}


def test_it_is_the_registered_script() -> None:
    import urllib.request

    source = numbered(easy(3)[0])
    with serving("replay://demo-teacher?seed=3&faults=0&latency=5") as base:
        asked = urllib.request.Request(
            f"{base}/chat/completions",
            json.dumps(request(source)).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=10) as response:
            body = json.load(response)
        with urllib.request.urlopen(f"{base}/models", timeout=10) as response:
            assert [model["id"] for model in json.load(response)["data"]] == [
                "demo-teacher",
                "demo-teacher-strong",
            ]
    assert body["choices"][0]["message"]["content"] == right(source)
