"""From paths to scores and texts: forms that go together, runs that match, and what is refused in one line."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from made_evaluations import (
    MODELS,
    QUESTIONS,
    answers,
    judgments,
    questions_file,
    write_evaluations,
    write_lines,
)
from watari.errors import UserError
from watari.evals.folder import (
    About,
    Evaluation,
    Generation,
    Item,
    Judgment,
    read_evaluation,
    write_evaluation,
)
from watari.evals.page.gathering import gather
from watari.evals.page.report import folder_page, report
from watari.generate.preflight import Sent, Token

SPEC = "fastchat-mt-bench"


def test_answers_questions_and_judgments_are_joined_by_question_turn_and_run(tmp_path: Path) -> None:
    found = gather(write_evaluations(tmp_path), SPEC)
    assert {(result.model, result.judge) for result in found.results} == {
        (model, judge) for model in MODELS for judge in ("gpt-4", "other-judge")
    }
    key = ("", "82")
    said = found.texts.answers_of(key, "alpha/one")
    assert set(said) == {(run, turn) for run in (0, 1) for turn in (1, 2)}
    assert said[1, 1].text.startswith("The answer to 82 is yes, says alpha/one, run 1.")
    rated = found.texts.judgments_of(key, "gpt-4", "beta")
    assert set(rated) == set(said)
    assert rated[1, 2][0].text.startswith("beta said ")
    assert rated[1, 2][0].sent.startswith("Rate this")
    question = found.texts.question(key)
    assert question.turns[0].startswith("Question 82?")
    assert question.reference[1] == "Second reference"
    assert [what for _, what in found.sources] == [SPEC, SPEC, "texts", "texts", "texts", "texts"]


def test_a_file_a_run_gives_each_run_its_own_judgment(tmp_path: Path) -> None:
    rows = judgments(["m"], QUESTIONS[:4], runs=1)
    for row in rows:
        del row["run"]
    one = write_lines(tmp_path / "one.jsonl", rows)
    two = write_lines(
        tmp_path / "two.jsonl", [row | {"judgment": "second [[3]]", "score": 3} for row in rows]
    )
    found = gather([one, two], SPEC)
    assert found.results[0].runs == 2
    rated = found.texts.judgments_of(("", "81"), "gpt-4", "m")
    assert rated[0, 1][0].text.startswith("m said")
    assert rated[1, 1][0].text == "second [[3]]"


def test_answers_alone_are_no_scores(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", answers("m", QUESTIONS))
    with pytest.raises(UserError, match="holds answers or questions, but no scores"):
        gather([path])


@pytest.mark.parametrize("content", ["", "not json\n", "[]\n", '"text"\n', '{"a": 1}\n'])
def test_a_file_of_no_known_form_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=r"strange\.jsonl"):
        gather([path])


def test_a_broken_line_of_answers_is_named(tmp_path: Path) -> None:
    judged = write_lines(tmp_path / "j.jsonl", judgments(["m"], QUESTIONS))
    said = write_lines(tmp_path / "a.jsonl", answers("m", QUESTIONS))
    with said.open("a") as file:
        file.write('{"question_id": 81, "choi\n')
    with pytest.raises(UserError, match=r"a\.jsonl:13: not JSON"):
        gather([judged, said], SPEC)


def test_a_truncated_gz_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl.gz"
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in judgments(["m"], QUESTIONS)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"j\.jsonl\.gz"):
        gather([path], SPEC)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: there is no such file or folder"):
        gather([tmp_path / "nothing"])


def test_an_out_that_is_a_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        report([tmp_path / "nothing"], out)
    assert out.read_text() == "mine"


def evaluation(folder: Path, model: str) -> Path:
    """Write an evaluation folder of two questions and two runs."""
    items = tuple(Item(str(id), "writing", (f"Q{id}", "And?"), ("R",)) for id in (81, 82))
    said = tuple(
        Generation(f"{item.id}-{run}-{turn}", item.id, item.group, f"{model}@digest", run, turn, f"{model} {run} {turn}", "length")
        for item in items for run in (0, 1) for turn in (1, 2)
    )  # fmt: skip
    first = tuple(
        Judgment(f"j-{one.id}", (one.id,), "fastchat-mt-bench/1", "gpt-4", one.turn, 5.0 + one.run, "said", one.item_id,
                 model, "writing", one.run, "single-v1", "sent")
        for one in said
    )  # fmt: skip
    again = Judgment("again", ("81-0-1",), "fastchat-mt-bench/1", "gpt-4", 1, 9.0, "said again", "81", model, "writing", 0,
                     parents=("j-81-0-1",))  # fmt: skip
    about = About("fastchat-mt-bench", "fastchat-mt-bench/1", 1, "d", model, "gpt-4", runs=2)
    write_evaluation(folder, Evaluation(about, items, said, (*first, again)), [], metric="rating")
    return folder


def test_evaluation_folders_bring_their_texts_and_a_folder_of_them_stands_for_all(tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluation(tmp_path / "all" / name, name)
    found = gather([tmp_path / "all"])
    assert [result.model for result in found.results] == ["one", "two"]
    assert [path.name for path in found.folders] == ["one", "two"]
    key = ("", "81")
    said = found.texts.answers_of(key, "one")
    assert said[1, 2].text == "one 1 2"
    assert said[1, 2].cut
    # Asked again, a judge counts by its last word.
    assert [rated.text for rated in found.texts.judgments_of(key, "gpt-4", "one")[0, 1]] == ["said again"]
    assert found.texts.question(key).turns == ("Q81", "And?")


def test_a_report_is_the_same_each_time_and_says_every_figure(tmp_path: Path) -> None:
    paths = write_evaluations(tmp_path)
    made = [report(paths, tmp_path / name, spec=SPEC, plots=False) for name in ("a", "b")]
    for one, other in zip(made[0].files, made[1].files, strict=True):
        assert one.read_bytes() == other.read_bytes()
    figures = json.loads((tmp_path / "a" / "figures.json").read_text("utf-8"))
    assert [table["judge"] for table in figures["tables"]] == ["gpt-4", "other-judge"]
    broken = figures["tables"][0]["models"][-1]
    assert broken["model"] == "broken"
    assert broken["rank"] is None
    assert "% of 48 ratings are invalid" in broken["refused"]
    shown = report(paths, tmp_path / "c", spec=SPEC, invalid="drop", plots=False)
    assert [entry.refused for entry in shown.boards[0].entries] == [None] * 4


def test_llm_jp_evals_own_files_bring_prompts_right_answers_and_answers(tmp_path: Path) -> None:
    for model in ("one", "two"):
        path = tmp_path / "logs" / model / "output_eval.json"
        path.parent.mkdir(parents=True)
        items = [
            {"prompt": "long", "input": f"Is it {n}?", "pred": f"{model} {n}", "gold": f"one {n}"}
            for n in range(3)
        ]
        path.write_text(json.dumps({"janli": items}), "utf-8")
    found = gather([tmp_path / "logs"])
    assert [result.model for result in found.results] == ["one", "two"]
    assert [result.figures["janli_exact_match"].value for result in found.results] == [1.0, 0.0]
    question = found.texts.question(("janli", "2"))
    assert (question.turns, question.gold) == (("Is it 2?",), "one 2")
    assert found.texts.answers_of(("janli", "2"), "two")[0, 1].text == "two 2"


def test_a_question_file_says_the_categories(tmp_path: Path) -> None:
    judged = write_lines(tmp_path / "j.jsonl", judgments(["m"], QUESTIONS[:2]))
    asked = write_lines(
        tmp_path / "q.jsonl", [row | {"category": "poetry"} for row in questions_file(QUESTIONS)]
    )
    figures = gather([judged, asked], SPEC).results[0].figures
    assert figures["poetry"].n == 8
    assert "writing" not in figures


def test_the_prompt_really_sent_is_on_the_page_piece_by_piece(tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "one", "one")
    kept = read_evaluation(folder)
    tokens = (Token(1, "<s>", "<s>"), Token(7, "▁Hello", "Hello"))
    sent = Sent("turn 1", "81", "Hello", "<s>Hello<script>", tokens, "<s>", 1, "ok", "one BOS at the start")
    write_evaluation(folder, replace(kept, prompts=(sent,)), [], metric="rating")
    made = report([folder], tmp_path / "out", plots=False)
    html = made.page.read_text("utf-8")
    assert "&lt;s&gt;Hello&lt;script&gt;</pre>" in html
    assert "<span>&lt;s&gt;</span><span>▁Hello</span>" in html
    assert "ok: one BOS at the start" in html


def test_the_page_of_a_folder_does_not_say_where_it_lies(tmp_path: Path) -> None:
    pages = [folder_page(evaluation(tmp_path / name / "model", "one")) for name in ("here", "there")]
    assert pages[0] == pages[1]
    assert str(tmp_path) not in pages[0]
    assert "cannot be set beside upstream" not in pages[0]
    assert "fastchat-mt-bench/1" in pages[0]


def test_figures_under_our_own_prompts_are_not_called_upstreams(tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "one", "one")
    about = json.loads((folder / "evaluation.json").read_text("utf-8"))
    (folder / "evaluation.json").write_text(json.dumps(about | {"label": "watari-mt-bench-en/1"}), "utf-8")
    shown = folder_page(folder)
    assert "watari-mt-bench-en/1" in shown
    assert "so these figures cannot be set beside upstream" in shown
    assert "公表値とは比較できません" in shown


def test_unused_questions_do_no_harm(tmp_path: Path) -> None:
    judged = write_lines(tmp_path / "j.jsonl", judgments(["m"], QUESTIONS[:2]))
    asked = write_lines(tmp_path / "q.jsonl", questions_file(QUESTIONS))
    assert gather([judged, asked], SPEC).results[0].figures["overall"].n == 8


def test_a_report_does_not_say_where_its_files_lie(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name / "model", name) for name in ("here", "there")]
    (tmp_path / "files").mkdir()
    judged = write_lines(tmp_path / "files" / "j.jsonl", judgments(["m"], QUESTIONS[:2]))
    made = report([*folders, judged], tmp_path / "out", plots=False)
    for file in made.files:
        assert str(tmp_path) not in file.read_text("utf-8"), file
    html = made.page.read_text("utf-8")
    for name in ("here/model", "there/model", "files/j.jsonl"):
        assert f"<li><code><bdi>{name}</bdi></code>" in html


def test_one_file_is_called_by_its_name_and_a_folder_by_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    judged = write_lines(tmp_path / "files" / "j.jsonl", judgments(["m"], QUESTIONS[:2]))
    html = report([judged], tmp_path / "out", plots=False).page.read_text("utf-8")
    assert "<li><code><bdi>j.jsonl</bdi></code>" in html
    evaluation(tmp_path / "all" / "one", "one")
    html = report([tmp_path / "all"], tmp_path / "out", plots=False).page.read_text("utf-8")
    assert "<li><code><bdi>all/one</bdi></code>" in html
