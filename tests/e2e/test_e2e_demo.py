"""The demo as a user runs it, from nothing to a chat: every claim that the README makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow(minutes=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from e2e_command import Command

    folder = tmp_path_factory.mktemp("demo")
    printed = Command(folder)("demo", "--out", "runs/demo")
    assert "report: runs/demo/report.html" in printed
    return folder / "runs" / "demo"


def metrics(run: Path, stage: str) -> Any:
    return json.loads((run / "stages" / stage / "manifest.json").read_text())["metrics"]


def test_japanese_takes_less_than_half_the_tokens(run: Path) -> None:
    held_out = metrics(run, "tokenizer")["characters_per_token"]["held_out"]["by_language"]["ja"]
    assert held_out["after"] > 2 * held_out["before"]


def test_grafting_costs_english_nothing_and_reading_wins_japanese(run: Path) -> None:
    bits = {
        stage: {
            language: metrics(run, f"bits_{stage}")[language]["bits_per_character"]["value"]
            for language in ("en", "ja")
        }
        for stage in ("base", "grafted", "adapted")
    }
    assert bits["grafted"]["en"] == pytest.approx(bits["base"]["en"], rel=0.02)
    assert bits["grafted"]["ja"] < bits["base"]["ja"] / 2
    assert bits["adapted"]["ja"] < bits["grafted"]["ja"] / 2
    assert bits["adapted"]["en"] < bits["base"]["en"] * 1.1


def test_the_base_knows_no_japanese_and_the_chat_model_answers_in_both(run: Path) -> None:
    answers = {
        stage: {language: body["all"]["value"] for language, body in metrics(run, f"answers_{stage}").items()}
        for stage in ("base", "sft", "dpo")
    }
    assert answers["base"]["ja"] < 0.02
    assert answers["base"]["en"] > 0.3
    # A constant answer is right in well under a tenth of the questions (tests/demo).
    assert answers["dpo"]["ja"] > 0.4
    assert answers["dpo"]["en"] > 0.3


def test_dpo_learns_the_preferences(run: Path) -> None:
    found = metrics(run, "dpo")
    assert found["first_loss"] == pytest.approx(0.693147, abs=1e-4)
    assert found["after"]["train"]["reward_accuracy"] > 0.7


def test_the_run_is_sound_and_a_second_one_makes_nothing(run: Path) -> None:
    from e2e_command import Command

    watari = Command(run.parent.parent)
    assert "0 faults" in watari("verify", "runs/demo")
    stages = watari.json("show", "runs/demo")["stages"]
    assert {stage["state"] for stage in stages} == {"done"}
    assert "0 made" in watari("run", "demo", "--out", "runs/demo")


def test_the_model_loads_with_no_code_of_ours_and_answers(run: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = str((run / "stages" / "dpo").resolve())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    question = "アダムさんは台所に赤い雑誌を三冊置きました。\n誰が台所に雑誌を置きましたか。"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    out = model.generate(**prompt, max_new_tokens=24, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    answer = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer.strip().endswith("。")


def test_chat_and_doctor(run: Path) -> None:
    from e2e_command import Command

    watari = Command(run)
    prompt = "ケンさんは庭に白い花を三本置きました。\n花は何色ですか。"
    first = watari("chat", "stages/dpo", "--prompt", prompt, "--seed", "3")
    assert first.strip()
    assert watari("chat", "stages/dpo", "--prompt", prompt, "--seed", "3") == first
    assert watari.json("doctor", "stages/dpo")["ok"] is True


def test_the_report_holds_the_figures(run: Path) -> None:
    page = (run / "report.html").read_text("utf-8")
    assert "Demo: an English model learns Japanese" in page
    assert '"started"' in page
    figures = json.loads((run / "stages" / "report" / "report.json").read_text("utf-8"))["figures"]
    assert len(figures) > 30


def test_the_teachers_planted_faults_are_caught_mended_or_handed_up(run: Path) -> None:
    found = metrics(run, "translated")
    assert found["rows_in"] == found["kept"] + found["dropped"] == 2000
    assert found["kept"] > 1850
    fast, repair, strong = found["rungs"][:3]
    # The planted kinds, by the codes that tell of them.
    for code in ("refusal", "untranslated", "number-changed", "leak", "source-kept"):
        assert fast["faults"].get(code, 0) >= 5, code
    assert fast["asked"] - fast["accepted"] >= repair["asked"] > 0
    assert found["repaired"] >= 50
    assert found["escalated"] >= 20
    assert strong["accepted"] > 0
    page = (run / "report.html").read_text("utf-8")
    table = page[page.index("Made data, rung by rung") :]
    for figure in (fast["asked"], fast["accepted"], found["repaired"], found["escalated"]):
        assert f">{figure:,}</a>" in table[: table.index("</table>")]


def test_what_is_kept_of_the_translations_is_what_the_world_says(run: Path) -> None:
    from watari.artifact.rows import read_rows
    from watari.text.scripts import guess_language

    rows = list(read_rows(run / "stages" / "translated"))
    assert all(row["language"] == "ja" for row in rows)
    wrong = [row["id"] for row in rows if guess_language(row["messages"][-1]["content"]) == "zh"]
    assert wrong == []
    assert (run / "stages" / "translated" / "report.html").is_file()


def test_pairs_are_the_teachers_answer_over_the_models_own(run: Path) -> None:
    from watari.artifact.rows import read_rows

    rows = list(read_rows(run / "stages" / "taught_pairs"))
    assert len(rows) >= 30
    assert {row["chosen_by"] for row in rows} == {"demo-teacher-strong"}
    assert all(row["chosen"] != row["rejected"] for row in rows)


def test_the_ledger_tells_what_was_asked_and_a_second_run_asks_nothing(run: Path) -> None:
    from e2e_command import Command

    watari = Command(run.parent.parent)
    told = watari.json("ledger", "status", "runs/demo")
    assert {"translated", "taught_pairs"} <= {line["label"] for line in told["endpoints"]}
    assert told["in_flight"] == 0
    watari("run", "demo", "--out", "runs/demo", "--force", "translated", "--until", "translated")
    again = watari.json("ledger", "status", "runs/demo")
    assert again["attempts"] == told["attempts"]
