"""eval.mtbench against scripted servers over real HTTP, and with a tiny model in this process."""

from __future__ import annotations

import json
import threading
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from teachers import Body, last, teacher
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import InputArtifact, Silent
from watari.endpoint.replay import Behaviour, Reply
from watari.endpoint.settings import Endpoint, Limits
from watari.errors import StageFailed, UserError
from watari.evals.folder import read_evaluation, write_evaluation
from watari.evals.mtbench import judging
from watari.evals.mtbench.questions import read_questions
from watari.evals.mtbench.scoring import score_files
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.mtbench.stage import STAGE, Evaluated, Params, evaluate
from watari.evals.spec import load_spec


def answer(body: Body) -> str:
    """Another answer for another seed or conversation."""
    said = json.dumps([body["messages"], body.get("seed")], ensure_ascii=False)
    return f"答えは{zlib.crc32(said.encode())}です。"


def rate(body: Body) -> str:
    return f"短い理由。\n評価：[[{zlib.crc32(last(body).encode()) % 10 + 1}]]"


def run(
    folder: Path,
    model: Any,
    judge: Endpoint,
    out: str = "out",
    artifact: InputArtifact | None = None,
    **more: Any,
) -> Evaluated:
    params = Params(
        model=model,
        judge=judge,
        ledger=str(folder / "ledger.sqlite"),
        label="mt",
        **({"spec": "nejumi-mt-bench-ja", "limit": 1} | more),
    )
    (folder / out).mkdir(exist_ok=True)
    return evaluate(params, artifact, folder / out, Silent())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spec_of(name: str) -> MTBenchSpec:
    found = load_spec(name)
    assert isinstance(found, MTBenchSpec)
    return found


def test_the_second_turn_follows_on_the_models_own_first_and_every_run_is_judged(tmp_path: Path) -> None:
    asked: list[Body] = []
    judged: list[Body] = []

    def answering(body: Body) -> str:
        asked.append(body)
        return answer(body)

    def rating(body: Body) -> str:
        judged.append(body)
        return rate(body)

    with teacher(answering, "cand") as model, teacher(rating, "judge") as judge:
        found = run(tmp_path, model, judge, system="日本語で答えてください。", runs=3)
    said = {one.id: one for one in read_questions("bundled", "ja", limit=1).questions}
    evaluation = read_evaluation(tmp_path / "out")
    assert len(evaluation.generations) == len(asked) == 8 * 3 * 2
    assert len(evaluation.judgments) == len(judged) == 8 * 3 * 2
    assert Counter(one.run for one in evaluation.judgments) == {0: 16, 1: 16, 2: 16}
    first = {(one.item_id, one.run): one.response for one in evaluation.generations if one.turn == 1}
    for one in evaluation.generations:
        question = said[one.item_id]
        messages = [{"role": "system", "content": "日本語で答えてください。"}]
        messages += [{"role": "user", "content": question.turns[0]}]
        if one.turn == 2:
            messages += [{"role": "assistant", "content": first[one.item_id, one.run]}]
            messages += [{"role": "user", "content": question.turns[1]}]
        matching = [body for body in asked if body["messages"] == messages and body["seed"] == one.seed]
        assert len(matching) == 1
        assert answer(matching[0]) == one.response
        assert matching[0]["max_tokens"] == 1024
        expected = spec_of("nejumi-mt-bench-ja").answers.temperature_of(one.group)
        assert matching[0]["temperature"] == expected == json.loads(one.sampler)["temperature"]
    assert len({one.seed for one in evaluation.generations}) == 48
    assert all((body["temperature"], body["max_tokens"]) == (0, 2048) for body in judged)
    assert found.metrics["answers"] == {"asked": 48, "cut_off": 0, "missing": 0}


def test_judgments_name_what_they_rest_on(tmp_path: Path) -> None:
    with teacher(answer, "cand") as model, teacher(rate, "judge") as judge:
        run(tmp_path, model, judge, runs=2)
    evaluation = read_evaluation(tmp_path / "out")
    generations = {one.id: one for one in evaluation.generations}
    assert len(generations) == len(evaluation.generations)
    items = {item.id: item for item in evaluation.items}
    for one in evaluation.judgments:
        seen = [generations[name] for name in one.generation_ids]
        assert [(g.item_id, g.run, g.turn) for g in seen] == [
            (one.question_id, one.run, turn) for turn in range(1, one.turn + 1)
        ]
        assert all(g.response in one.user_prompt for g in seen)
        assert items[one.question_id].turns[one.turn - 1] in one.user_prompt
        assert one.reference == (one.category in ("math", "reasoning", "coding"))
        if one.reference:
            assert items[one.question_id].reference[one.turn - 1] in one.user_prompt
        assert one.rating == zlib.crc32(one.user_prompt.encode()) % 10 + 1
        assert (one.judge, one.model) == ("judge-1", "cand")


@pytest.mark.parametrize("spec", ["fastchat-mt-bench", "nejumi-mt-bench-ja", "stability-ja-mt-bench"])
def test_scoring_the_folder_again_gives_the_stages_own_rows(tmp_path: Path, spec: str) -> None:
    def mostly(body: Body) -> str:
        return rate(body) if zlib.crc32(last(body).encode()) % 7 else "わかりません。"

    with teacher(answer, "cand") as model, teacher(mostly, "judge") as judge:
        found = run(tmp_path, model, judge, spec=spec, runs=2, limit=2, seed=5)
    (again,) = score_files(spec_of(spec), [tmp_path / "out"], seed=5)
    assert again.figures == found.result.figures
    assert again.units == found.result.units
    assert again.spec == found.result.spec
    rows = pq.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert {row["group"]: (row["value"], row["n"], row["invalid"], row["ci_low"]) for row in rows} == {
        name: (
            None if figure.value is None else round(figure.value, 6),
            figure.n,
            figure.invalid,
            None if figure.low is None else round(figure.low, 6),
        )
        for name, figure in again.figures.items()
    }
    overall = found.metrics["figures"]["overall"]
    assert overall["n"] + overall["invalid"] == len(read_evaluation(tmp_path / "out").judgments)
    assert overall["invalid"] > 0
    assert {row["runs"] for row in rows} == {2}


def test_run_again_it_asks_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    behaviour = Behaviour(rate_429=0.05, rate_500=0.05, rate_garbage=0.05, retry_after=0)
    with (
        teacher(answer, "cand", behaviour=behaviour) as model,
        teacher(rate, "judge", behaviour=behaviour) as judge,
    ):
        first = run(tmp_path, model, judge, "one", runs=2)
        second = run(tmp_path, model, judge, "two", runs=2)
    assert first.performance["requests_sent"] > 64
    assert second.performance["requests_sent"] == 0
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert digest_of(list_files(tmp_path / "one")) == digest_of(list_files(tmp_path / "two"))
    assert first.metrics == second.metrics


HOSTILE = {
    "empty": ("", None, "no rating in the judge's text"),
    "two ratings": ("First [[3]], no: [[7]]", 3, ""),
    "too high": ("[[11]]", 11, "outside of 0 to 10"),
    "not available": ("[[N/A]]", None, "no rating in the judge's text"),
    "in a block": ("```\n評価：[[6]]\n```", 6, ""),
    "one bracket": ("Rating: [4]", 4, ""),
    "negative": ("[[-1]]", None, "no rating in the judge's text"),
    "half": ("[[8.5]]", 8.5, ""),
    "as a word": ("[[five]]", None, "no rating in the judge's text"),
}


def test_hostile_judges(tmp_path: Path) -> None:
    names = list(HOSTILE)
    questions = tmp_path / "q.jsonl"
    questions.write_text(
        "".join(
            json.dumps({"question_id": place, "category": "writing", "turns": [name, "そして？"]}) + "\n"
            for place, name in enumerate(names)
        ),
        "utf-8",
    )

    def hostile(body: Body) -> str:
        name = next(name for name in names if f"\n{name}\n" in last(body))
        return HOSTILE[name][0] or " "

    with teacher(answer, "cand") as model, teacher(hostile, "judge") as judge:
        found = run(tmp_path, model, judge, spec="fastchat-mt-bench", questions=str(questions), limit=None)
    judgments = read_evaluation(tmp_path / "out").judgments
    for one in judgments:
        said, rating, problem = HOSTILE[names[int(one.question_id)]]
        assert one.text.strip() == said
        assert one.rating == rating
        assert one.problem == (problem if said else "the judge said nothing"), said
    overall = found.result.figures["overall"]
    assert overall.value == pytest.approx((3 + 6 + 4 + 8.5) / 4)
    assert (overall.n, overall.invalid) == (8, 10)
    assert found.metrics["judgments"]["unreadable"] == 10
    assert found.metrics["refused"] == "55.6 % of 18 ratings are invalid"


def test_a_judge_is_asked_again_only_where_told_and_counts_once(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def second_time(body: Body) -> str:
        seen[last(body)] += 1
        return "[[9]]" if seen[last(body)] == 2 else "[[11]]" if len(last(body)) % 2 else "hm"

    with teacher(answer, "cand") as model, teacher(second_time, "judge") as judge:
        found = run(tmp_path, model, judge, runs=1, reask=3)
    evaluation = read_evaluation(tmp_path / "out")
    assert found.metrics["judgments"] == {"rated": 16, "unreadable": 0, "reasons": {}, "asked_again": 16}
    assert len(evaluation.judgments) == 32
    last_ones = [one for one in evaluation.judgments if one.parents]
    assert {one.parents[0] for one in last_ones} == {
        one.id for one in evaluation.judgments if not one.parents
    }
    figure = found.result.figures["overall"]
    assert (figure.value, figure.n, figure.invalid) == (pytest.approx(0.9), 16, 0)


def test_what_cannot_be_answered_is_kept_with_the_reason_and_not_judged(tmp_path: Path) -> None:
    questions = read_questions("bundled", "ja", limit=1).questions
    first, second = questions[0].turns[0], questions[1].turns[1]

    def refusing(body: Body) -> str | Reply:
        if last(body) == first:
            return Reply("the prompt is too long", status=400, code="context_length_exceeded")
        if last(body) == second:
            return Reply("no", status=400)
        return answer(body)

    with teacher(refusing, "cand") as model, teacher(rate, "judge") as judge:
        found = run(tmp_path, model, judge, runs=1)
    evaluation = read_evaluation(tmp_path / "out")
    assert len(evaluation.generations) == 16
    problems = {(one.item_id, one.turn): one.problem for one in evaluation.generations if one.problem}
    assert problems == {
        (questions[0].id, 1): "context too long",
        (questions[0].id, 2): "context too long",
        (questions[1].id, 2): "refused by the server",
    }
    assert found.metrics["answers"]["missing"] == 2
    assert found.metrics["judgments"]["reasons"] == {
        "no answer: context too long": 2,
        "no answer: refused by the server": 1,
    }
    assert found.result.figures["overall"].n == 13
    assert "refused" in found.metrics


def test_an_answer_that_is_cut_off_stays_and_is_told(tmp_path: Path) -> None:
    asked: list[int] = []

    def long(body: Body) -> str:
        asked.append(body["max_tokens"])
        return "長い答え。" * 100

    with teacher(long, "cand") as model, teacher(rate, "judge") as judge:
        found = run(tmp_path, model, judge, runs=1, max_tokens=20)
    assert set(asked) == {20}
    assert len(asked) == 16
    assert found.metrics["answers"]["cut_off"] == 16
    assert {one.finish_reason for one in read_evaluation(tmp_path / "out").generations} == {"length"}


@pytest.mark.parametrize("who", ["cand", "judge"])
def test_an_outage_is_no_result_and_the_next_run_goes_on(tmp_path: Path, who: str) -> None:
    up: list[int] = []
    count: Counter[str] = Counter()

    def server(name: str, script: Any) -> Any:
        def said(body: Body) -> str | Reply:
            if name == who and not up and zlib.crc32(last(body).encode()) % 3 == 0:
                return Reply("busy", status=500)
            count[name] += 1
            return str(script(body))

        return said

    with (
        teacher(server("cand", answer), "cand", attempts=1) as model,
        teacher(server("judge", rate), "judge", attempts=1) as judge,
    ):
        with pytest.raises(StageFailed, match="could not be had"):
            run(tmp_path, model, judge, runs=1)
        before = count.total()
        assert not (tmp_path / "out" / "rows.parquet").exists()
        up.append(1)
        found = run(tmp_path, model, judge, runs=1)
    assert before > 0
    assert count == {"cand": 16, "judge": 16}
    assert found.metrics["judgments"]["rated"] == 16


def test_labels_say_whose_prompts_and_questions(tmp_path: Path, test_data: Path) -> None:
    prompts = str(test_data / "mt-bench-en" / "judge_prompts.jsonl")
    questions = str(test_data / "mt-bench-en" / "question.jsonl")
    references = str(test_data / "mt-bench-en" / "reference_answer_gpt-4.jsonl")
    other = tmp_path / "prompts.jsonl"
    other.write_bytes(Path(prompts).read_bytes() + b"\n \n")
    labels = {}
    with teacher(answer, "cand") as model, teacher(rate, "judge") as judge:
        for name, given in {
            "upstream": {"prompts": prompts, "questions": questions, "references": references},
            "questions": {"prompts": prompts},
            "prompts": {"prompts": str(other), "questions": questions, "references": references},
            "ours": {},
        }.items():
            found = run(tmp_path, model, judge, name, spec="fastchat-mt-bench", **given)
            labels[name] = found.result.spec
            evaluation = read_evaluation(tmp_path / name)
            assert evaluation.about.label == found.result.spec
            assert {one.spec for one in evaluation.judgments} == {found.result.spec}
            assert str(tmp_path) not in json.dumps(evaluation.about.settings, ensure_ascii=False)
    assert labels == {
        "upstream": "fastchat-mt-bench/1",
        "questions": "fastchat-mt-bench/1, other questions",
        "prompts": "fastchat-mt-bench/1 with other prompts",
        "ours": "watari-mt-bench-en/1 (fastchat-mt-bench/1)",
    }


def test_the_bundled_word_in_a_recipe_is_the_default(tmp_path: Path) -> None:
    """A recipe makes a path of it before the parameters see it."""
    with teacher(rate, "judge") as judge:
        given: dict[str, Any] = {"model": judge, "judge": judge, "language": "ja"}
        assert Params(**given, questions=str(tmp_path / "bundled")).questions is None
        assert Params(**given).spec_name == "nejumi-mt-bench-ja"
        assert Params(**given | {"language": "en"}).spec_name == "fastchat-mt-bench"
        with pytest.raises(ValidationError, match="name one, or give `language`"):
            Params(model=judge, judge=judge)
        with pytest.raises(ValidationError, match="max_tokens"):
            Params(**given, sampler={"max_tokens": 5})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"spec": "shaberi"}, "shaberi is no MT-Bench"),
        ({"spec": "mt"}, "mt: no such spec"),
        ({"language": "ko"}, "no bundled questions in this language"),
        ({"categories": ["dance"]}, "no questions of category dance"),
    ],
)
def test_what_cannot_be_run_is_told_before_anything_is_asked(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    def never(body: Body) -> str:
        raise AssertionError("asked")

    with (
        teacher(never, "cand") as model,
        teacher(never, "judge") as judge,
        pytest.raises(UserError, match=said),
    ):
        run(tmp_path, model, judge, **given)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    # A larger window than the helper's: the second turn stands after the first answer.
    folder = make_folder(tmp_path_factory.mktemp("tiny") / "model", max_position_embeddings=2048)
    return as_input("tiny", folder, Kind.MODEL)


def test_a_model_in_this_process(tmp_path: Path, tiny: InputArtifact) -> None:
    given: dict[str, Any] = {
        "model": {"from": "tiny"},
        "artifact": tiny,
        "runs": 2,
        "max_tokens": 4,
        "device": "cpu",
    }
    with teacher(rate, "judge") as judge:
        found = run(tmp_path, judge=judge, **given)
        again = run(tmp_path, judge=judge, out="again", **given)
    assert files(tmp_path / "out") == files(tmp_path / "again")
    assert again.performance["requests_sent"] == 0
    evaluation = read_evaluation(tmp_path / "out")
    assert evaluation.about.model == "tiny"
    assert evaluation.about.model_digest == tiny.manifest.digest
    texts: dict[tuple[str, int], set[str]] = {}
    for one in evaluation.generations:
        assert one.rendered_prompt.startswith("<s>### User: ")
        assert one.rendered_prompt.count("### Assistant:") == one.turn
        texts.setdefault((one.group, one.turn), set()).add(one.response)
    # Temperature 0 gives one answer in all runs; it is computed once, and its judgment asked for once.
    assert all(len(texts[category, 1]) == 1 for category in ("math", "coding", "reasoning", "extraction"))
    assert len(texts["writing", 1]) == 2
    assert [one.verdict for one in evaluation.prompts] == ["ok", "ok"]
    assert [one.bos_count for one in evaluation.prompts] == [1, 1]
    assert evaluation.prompts[1].text == next(
        one.rendered_prompt for one in evaluation.generations if one.turn == 2
    )
    assert found.result.runs == 2


def test_a_prompt_without_bos_stops_it_before_anything_is_asked(tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "model",
        template="{% for m in messages %}{{ m.role + ': ' + m.content }}{% endfor %}{{ 'assistant:' }}",
        max_position_embeddings=2048,
    )
    judged: list[int] = []

    def rating(body: Body) -> str:
        judged.append(1)
        return rate(body)

    with teacher(rating, "judge") as judge, pytest.raises(UserError, match="does not begin with <s>"):
        run(
            tmp_path,
            {"from": "model"},
            judge,
            artifact=as_input("model", folder, Kind.MODEL),
            device="cpu",
        )
    assert not judged


def test_the_stage_is_in_the_table() -> None:
    from watari.flow.stages import TABLE

    assert TABLE["eval.mtbench"] is STAGE
    assert STAGE.output is Kind.SCORES


def test_runs_with_the_same_answers_are_judged_once_and_the_result_says_so(tmp_path: Path) -> None:
    with teacher(lambda body: "いつも同じ答え。", "cand") as model, teacher(rate, "judge") as judge:
        found = run(tmp_path, model, judge, runs=3)
    assert len(read_evaluation(tmp_path / "out").judgments) == 8 * 3 * 2
    assert found.performance["endpoints"]["judge"]["answered"] == 8 * 2
    (note,) = [note for note in found.result.notes if "run_sd" in note]
    assert note.startswith("48 ratings of answers that are the same in several runs rest on 16 judgments")
    assert note in found.metrics["notes"]


def test_what_takes_long_to_import_is_imported_while_the_judge_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(
        "watari.artifact.ahead._pandas", lambda: order.append(threading.current_thread().name)
    )

    def written(*given: Any, **more: Any) -> None:
        order.append("written")
        write_evaluation(*given, **more)

    monkeypatch.setattr("watari.evals.folder.write_evaluation", written)
    with teacher(answer, "cand") as model, teacher(rate, "judge") as judge:
        found = run(tmp_path, model, judge, runs=1)
    assert len(order) == 2
    assert order[0] != threading.main_thread().name
    assert order[1] == "written"
    # asyncio.run has its task written out as text, twice: that must not take the whole evaluation with it.
    assert len(repr(found)) < 5000
    assert len(repr(found.evaluation)) > 20_000


@pytest.mark.parametrize(("concurrency", "expected"), [(2, 16), (None, 48)])
def test_rows_are_begun_as_the_judge_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int | None, expected: int
) -> None:
    """Not all at once: the first answers would have to wait until the last row has its prompt."""
    busy, most, judged = 0, 0, judging._judged

    async def counted(*given: Any) -> judging.Judged:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        try:
            return await judged(*given)
        finally:
            busy -= 1

    monkeypatch.setattr(judging, "_judged", counted)
    with teacher(answer, "cand") as model, teacher(rate, "judge") as judge:
        limited = judge.model_copy(update={"limits": Limits(concurrency=concurrency)})
        run(tmp_path, model, limited, runs=3)
    assert most == expected
    assert len(read_evaluation(tmp_path / "out").judgments) == 48
