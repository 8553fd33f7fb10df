"""The page of evaluations in a real browser: its script, its languages, its browser of questions; and hostile output."""

from __future__ import annotations

import html as markup
import re
from pathlib import Path

import pytest

from in_chromium import dump, needs_chromium, said_in
from made_evaluations import ATTACK, HOSTILE, MODELS, QUESTIONS, write_evaluations
from watari.evals.page import report

pytestmark = needs_chromium
WAIT = 6000


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("evaluations")
    out = folder / "out"
    report(
        write_evaluations(folder), out, spec="fastchat-mt-bench", title=f"<i>mine</i>{ATTACK}", plots=False
    )
    return (out / "index.html").read_text("utf-8")


def script(body: str) -> str:
    """Return a script that waits until a question is shown, runs `body`, and leaves what it pushed to `said`."""
    return f"""
      const said = [];
      const $ = (id) => document.getElementById(id);
      const shown = (element) => element.getClientRects().length > 0;
      const until = async (holds) => {{ for (let i = 0; i < 200 && !holds(); i++) await new Promise((done) => setTimeout(done, 20)); }};
      const pick = async (id, value) => {{ $(id).value = value; $(id).dispatchEvent(new Event("change")); await new Promise((done) => setTimeout(done, 150)); }};
      (async () => {{
        await until(() => $("shown").dataset.item);
        {body}
        document.body.dataset.said = JSON.stringify(said);
      }})().catch((error) => {{ document.body.dataset.said = JSON.stringify([String(error)]); }});
    """


def test_its_script_runs_under_its_policy_and_unpacks_a_question(html: str, tmp_path: Path) -> None:
    dom = dump(html, tmp_path, "#ja/dark", wait_ms=WAIT)
    root = dom[: dom.index("<head>")]
    for attribute in ('data-ready="yes"', 'data-lang="ja"', 'lang="ja"', 'data-theme="dark"'):
        assert attribute in root
    assert f'data-item="{QUESTIONS[0]}"' in dom
    assert "The answer to 81 is yes" in markup.unescape(dom)
    assert 'aria-label="問題一覧"' in dom


def test_what_models_and_judges_say_stays_text(html: str, tmp_path: Path) -> None:
    """With every question opened, the hostile model on both sides: no element of theirs exists, the title is ours."""
    hostile = MODELS.index(HOSTILE)
    dom = dump(
        html,
        tmp_path,
        wait_ms=WAIT,
        extra=script(
            f"""
            const place = [...$("pick-a").options].findIndex((one) => one.textContent.startsWith("evil"));
            said.push(place >= 0);
            await pick("pick-a", String(place));
            for (const button of document.querySelectorAll("#found button")) {{
              button.click();
              await new Promise((done) => setTimeout(done, 60));
              for (const one of document.querySelectorAll("details")) one.open = true;
            }}
            said.push(document.querySelectorAll("img, b:not(.one b), i:not(i), iframe, object, embed").length);
            said.push([...document.scripts].filter((one) => !one.type || one.type === "text/javascript").length);
            said.push(document.title.startsWith("<i>mine"));
            said.push($("shown").textContent.includes("<img src=x onerror="));
            said.push({hostile});
            """
        ),
    )
    assert said_in(dom) == [True, 0, 2, True, True, hostile]
    assert "owned'\"><b>" not in re.sub(r"&lt;|&gt;|&amp;", "", dom.split("<script")[0])


def test_control_characters_of_an_answer_are_seen(html: str, tmp_path: Path) -> None:
    dom = dump(html, tmp_path, wait_ms=WAIT)
    assert "⟨U+202E⟩" in dom
    assert "\u202e" not in dom


def test_both_languages_hold_the_same_numbers(html: str, tmp_path: Path) -> None:
    numbers = """
      const read = () => [...document.querySelectorAll("main td, main .number, main .chart text, main .ends, main .mean, main .one b")]
        .filter(shown).map((one) => one.innerText || one.textContent).join(" ").match(/[0-9][0-9.,%]*/g);
      document.querySelector("[data-set-lang=en]").click();
      const english = read();
      document.querySelector("[data-set-lang=ja]").click();
      const japanese = read();
      said.push(english.length, JSON.stringify(english) === JSON.stringify(japanese));
      const latin = [...document.querySelectorAll("h2, h3, h4, label, summary, th .w")].filter(shown)
        .map((one) => one.innerText).filter((text) => /Score|Rank|Category|Judge|Model |Prompt|Invalid/.test(text));
      await new Promise((done) => setTimeout(done, 50));
      said.push(latin, [...$("pick-order").options].map((one) => one.textContent));
    """
    count, same, latin, options = said_in(dump(html, tmp_path, wait_ms=WAIT, extra=script(numbers)))
    assert count > 150
    assert same is True
    assert latin == []
    assert options == ["ファイル順", "Aの低い順", "差の大きい順", "無効のみ"]


def test_questions_are_found_by_category_score_difference_and_invalid_ratings(
    html: str, tmp_path: Path
) -> None:
    body = """
      const ids = () => [...document.querySelectorAll("#found button bdi")].map((one) => one.textContent);
      const means = () => [...document.querySelectorAll("#found li")].map((one) => [...one.querySelectorAll(".mean")].map((mean) => parseFloat(mean.textContent)));
      said.push(ids());
      await pick("pick-category", "math"); said.push(ids());
      await pick("pick-category", "");
      await pick("pick-order", "lowest");
      const low = means().map(([a]) => a); said.push(low.every((one, place) => !place || low[place - 1] <= one));
      await pick("pick-order", "difference");
      const apart = means().map(([a, b]) => Math.abs(a - b)); said.push(apart.every((one, place) => !place || apart[place - 1] >= one - 0.06));
      await pick("pick-order", "invalid"); said.push(ids());
      const bad = [...$("pick-a").options].findIndex((one) => one.textContent === "broken");
      await pick("pick-a", String(bad)); said.push(ids().length > 5, $("shown").textContent.includes("invalid"));
    """
    every, math, lowest, difference, none, many, told = said_in(
        dump(html, tmp_path, wait_ms=WAIT, extra=script(body))
    )
    assert every == [str(id) for id in QUESTIONS]
    assert math == ["111", "112", "113", "114"]
    assert lowest is True
    assert difference is True
    assert none == []
    assert many is True
    assert told is True


def test_answers_of_all_runs_stand_beside_the_other_models_with_differences_marked(
    html: str, tmp_path: Path
) -> None:
    body = """
      const sides = [...document.querySelectorAll("#shown .side")];
      said.push(sides.length, sides[0].querySelectorAll(".one").length);
      said.push([...sides[0].querySelectorAll("header")].map((one) => one.innerText.match(/Run \\d/)[0]).join());
      const marks = [...document.querySelectorAll("#shown .one > .said mark")].map((one) => one.textContent);
      said.push(marks.length > 0, marks.some((one) => one.includes("answer")));
      $("pick-diff").click(); await new Promise((done) => setTimeout(done, 150));
      said.push(document.querySelectorAll("#shown mark").length);
      said.push(document.querySelector("#shown .asked").textContent.includes("Question 81?"));
      said.push(document.querySelector("#shown details .said").textContent.includes("Reference 81"));
      await pick("pick-b", "-1"); said.push(document.querySelectorAll("#shown .side").length);
      await pick("pick-table", "1"); said.push(document.querySelectorAll("#shown .side").length, $("shown").textContent.includes("Rating"));
    """
    assert said_in(dump(html, tmp_path, wait_ms=WAIT, extra=script(body))) == [
        *(4, 2, "Run 1,Run 2"),
        *(True, False),
        *(0, True, True),
        *(2, 4, True),
    ]


def test_tables_sort_and_chips_choose(html: str, tmp_path: Path) -> None:
    body = """
      const table = document.querySelector(".league table");
      const column = () => [...table.tBodies[0].rows].map((row) => row.children[2].textContent.trim());
      const before = column();
      const button = table.querySelectorAll("button.sort")[0];
      button.click(); said.push(JSON.stringify(column()) === JSON.stringify(before));
      button.click(); const rising = column(); said.push(rising[0] === before[before.length - 2], rising[rising.length - 1]);
      const chip = document.querySelector(".chip");
      const bars = () => [...document.querySelectorAll('#board-1-compare [data-model="0"]')].filter(shown).length;
      said.push(bars() > 0); chip.click(); said.push(bars()); chip.click(); said.push(bars() > 0);
    """
    assert said_in(dump(html, tmp_path, wait_ms=WAIT, extra=script(body))) == [
        *(True, True, "–"),
        *(True, 0, True),
    ]


def test_nothing_is_wider_than_a_phone(html: str, tmp_path: Path) -> None:
    """At 360 px nothing but the scrolling boxes reaches past the edge, in both languages, with a question opened."""
    body = """
      const inside = onPhone();
      for (const lang of ["en", "ja"]) {
        inside.documentElement.dataset.lang = lang;
        said.push(inside.documentElement.scrollWidth <= 360);
      }
    """
    assert said_in(dump(html, tmp_path, wait_ms=WAIT, extra=script(body))) == [True, True]
