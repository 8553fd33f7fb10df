"""eval.jaster against a scripted server over real HTTP, and with a tiny model in this process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from made_artifacts import as_input
from teachers import Body, last, teacher
from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact, Inputs, Silent, StageResult
from watari.endpoint.replay import Behaviour, Reply
from watari.errors import StageFailed, UserError
from watari.evals.folder import read_evaluation
from watari.evals.jaster.datasets import load_datasets
from watari.evals.jaster.plan import plan_of
from watari.evals.jaster.stage import Params, run
from watari.evals.scoring import score_files
from watari.generate.local import LocalModel
from watari.generate.sampler import GREEDY

GOLDS = {item.input: item.gold for one in load_datasets(["bundled"]).values() for item in one.test}


def asked(body: Body) -> str:
    """Return the input of the item that a request asks."""
    text = body["prompt"] if "prompt" in body else last(body)
    return str(text).split("### 入力：\n")[-1].split("\n### 回答：")[0]


def knows(body: Body) -> str:
    return GOLDS[asked(body)] + "\n\n### 入力："


def evaluate(folder: Path, model: Any, artifact: InputArtifact | None = None, **params: Any) -> StageResult:
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    made = Params(model=model, ledger=str(folder / "ledger.sqlite"), label="jaster", **params)
    return run(made, Inputs({"model": [artifact]} if artifact else {}), out, Silent())


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    folder = make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)
    return as_input("tiny", folder, Kind.MODEL)


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_who_knows_everything_scores_one(tmp_path: Path, api: str) -> None:
    bodies: list[Body] = []

    def answer(body: Body) -> str:
        bodies.append(body)
        return knows(body)

    with teacher(answer, api=api) as endpoint:
        result = evaluate(tmp_path, endpoint, max_tokens=64)
    figures = result.metrics["figures"]
    assert figures["AVR"]["value"] == 1
    assert {figure["value"] for figure in figures.values()} == {1.0}
    assert result.metrics["answers"]["asked"] == len(bodies) == 200
    for body in bodies:
        assert body["temperature"] == 0
        assert "seed" not in body
        assert ("stop" in body) == (api == "completions")
    assert {body["max_tokens"] for body in bodies} == {64}
    evaluation = read_evaluation(tmp_path / "out")
    assert evaluation.about.settings["style"] == ("chat" if api == "chat" else "completion")
    assert evaluation.about.label == "watari-jaster/1 (llm-jp-eval-1.0/1)"
    assert len(evaluation.items) == len(evaluation.generations) == 200
    assert [one.verdict for one in evaluation.prompts] == ["not checkable"] * 10
    (again,) = score_files("llm-jp-eval-1.0", [tmp_path / "out"])
    assert {name: figure.value for name, figure in again.figures.items()} == {
        name: figure["value"] for name, figure in figures.items()
    }
    assert again.spec == evaluation.about.label


def test_what_the_prompt_is(tmp_path: Path) -> None:
    prompts: list[str] = []

    def answer(body: Body) -> str:
        prompts.append(body["prompt"])
        assert body["max_tokens"] == 3  # the spec's, of this dataset
        return "neutral"

    with teacher(answer, api="completions") as endpoint:
        evaluate(tmp_path, endpoint, datasets=["jnli"], limit=2, bos_in_prompt="<s>")
        found = evaluate(tmp_path / "b", endpoint, datasets=["jnli"], limit=0)
    assert len(prompts) == 22
    assert all("### 指示\n<s>同じ場面" in prompt for prompt in prompts[:2])
    assert not any("<s>" in prompt for prompt in prompts[2:])
    assert prompts[0].count("### 入力：") == 5
    assert found.metrics["figures"]["jnli_exact_match"]["value"] == 0.3  # 6 of 20 are neutral
    # A category without a dataset counts 0: the mean of one of four.
    assert found.metrics["figures"]["AVR"]["value"] == pytest.approx(0.3 / 4)


def test_upstreams_words_and_published_files(tmp_path: Path, test_data: Path) -> None:
    prompts: list[str] = []

    def answer(body: Body) -> str:
        prompts.append(body["prompt"])
        return "2"

    stored = test_data / "shisa-llm-jp-eval" / "prompts.json"
    with teacher(answer, api="completions") as endpoint:
        found = evaluate(
            tmp_path, endpoint, questions=[str(test_data / "jglue")], prompts=str(stored),
            datasets=["jcommonsenseqa"], limit=5,
        )  # fmt: skip
    template = json.loads(stored.read_text("utf-8"))["jcommonsenseqa"][""]
    items = load_datasets([str(test_data / "jglue")])["jcommonsenseqa"].test[:5]
    assert sorted(prompts) == sorted(template.replace("{input}", item.input) for item in items)
    assert found.metrics["spec"] == "llm-jp-eval-1.0/1"
    assert not any("marked" in note for note in found.metrics["notes"])
    share = sum(item.gold == "2" for item in items) / 5
    assert found.metrics["figures"]["jcommonsenseqa_exact_match"]["value"] == share


def test_the_later_release(tmp_path: Path) -> None:
    with teacher(
        lambda body: GOLDS[str(last(body)).split("### 入力:\n")[-1].split("\n\n### 応答:")[0]] + "\n\nおわり"
    ) as endpoint:
        found = evaluate(tmp_path, endpoint, spec="llm-jp-eval-1.3", limit=3, max_tokens=64)
    figures = found.metrics["figures"]
    assert [figures[name]["value"] for name in ("NLI", "QA", "RC", "MC")] == [1.0] * 4
    assert figures["AVG"]["value"] == pytest.approx(4 / 9, abs=1e-6)
    assert any("HE" in note and "0" in note for note in found.metrics["notes"])


def test_a_model_in_this_process_is_given_the_text_itself(tmp_path: Path, tiny: InputArtifact) -> None:
    found = evaluate(
        tmp_path, {"from": "tiny"}, tiny, datasets=["jnli", "niilc"], limit=3, max_tokens=6
    )  # fmt: skip
    assert found.metrics["answers"] == {"asked": 6, "cut_off": 6, "missing": 0}
    evaluation = read_evaluation(tmp_path / "out")
    model = LocalModel(tiny.path)
    said = model.generate(
        [one.rendered_prompt for one in evaluation.generations],
        GREEDY.with_settings(max_new_tokens=6, stop=("\n",)),
    )
    assert [one.text for one in said] == [one.response for one in evaluation.generations]
    for one in evaluation.prompts:
        assert (one.verdict, one.bos_count, one.tokens[0].token) == ("ok", 1, "<s>")
    first = files(tmp_path / "out")
    again = evaluate(tmp_path, {"from": "tiny"}, tiny, datasets=["jnli", "niilc"], limit=3, max_tokens=6)
    assert files(tmp_path / "out") == first
    assert again.metrics == found.metrics
    chat = evaluate(tmp_path / "c", {"from": "tiny"}, tiny, datasets=["jnli"], limit=1, style="chat")
    assert chat.metrics["answers"]["missing"] == 0
    assert "### User: " in str(read_evaluation(tmp_path / "c" / "out").prompts[0].text)


def test_a_models_own_sampling_settings_do_not_count(tmp_path: Path, tiny: InputArtifact) -> None:
    """llm-jp-eval generates greedily and without a repetition penalty, whatever generation_config.json says."""
    folder = tmp_path / "own"
    shutil.copytree(tiny.path, folder)
    settings = {"do_sample": True, "temperature": 1.5, "repetition_penalty": 3.0, "eos_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(settings), "utf-8")
    for name, artifact in (("a", tiny), ("b", as_input("own", folder, Kind.MODEL))):
        evaluate(tmp_path / name, {"from": "m"}, artifact, datasets=["niilc"], limit=3, max_tokens=12)
    one, other = (read_evaluation(tmp_path / name / "out").generations for name in "ab")
    assert [said.response for said in one] == [said.response for said in other]
    assert all(said.completion_tokens > 3 for said in one)


def test_golds_are_normalised_and_examples_are_not(tmp_path: Path) -> None:
    rows = [
        {"dataset": "niilc", "id": n, "input": f"質問：{n}？", "gold": "（株）１", "split": split}
        for split, count in (("train", 4), ("test", 2))
        for n in range(count)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with teacher(lambda body: "（株）１\n質問：", api="completions") as endpoint:
        found = evaluate(tmp_path, endpoint, questions=[str(path)])
    assert found.metrics["figures"]["niilc_char_f1"]["value"] == 1
    evaluation = read_evaluation(tmp_path / "out")
    assert {(one.gold, one.pred, one.response) for one in evaluation.generations} == {
        ("(株)1", "(株)1", "（株）１")
    }
    assert evaluation.generations[0].rendered_prompt.count("（株）１") == 4


def test_a_prompt_that_loses_bos_is_not_asked(tmp_path: Path) -> None:
    from tiny_llama import make_tokenizer

    folder = make_folder(tmp_path / "m", max_position_embeddings=4096)
    make_tokenizer(folder, bos=False)
    artifact = as_input("lost", folder, Kind.MODEL)
    with pytest.raises(UserError, match=r"lost: the prompt of jamp.*does not begin with <s>"):
        evaluate(tmp_path, {"from": "lost"}, artifact, limit=1)
    assert not (tmp_path / "ledger.sqlite").exists()
    found = evaluate(
        tmp_path, {"from": "lost"}, artifact, limit=1, datasets=["jnli"], on_bos="tell", max_tokens=2
    )
    assert found.metrics["answers"]["asked"] == 1
    assert read_evaluation(tmp_path / "out").prompts[0].verdict == "fail"


def test_a_context_that_no_prompt_fits(tmp_path: Path) -> None:
    artifact = as_input("short", make_folder(tmp_path / "m"), Kind.MODEL)
    with pytest.raises(UserError, match="short: no prompt fits into its context of 256 tokens"):
        evaluate(tmp_path, {"from": "short"}, artifact)


def test_answers_that_are_missing_are_counted_and_outages_stop(tmp_path: Path) -> None:
    def refuses(body: Body) -> str | Reply:
        return Reply("no", status=400) if "橋" in asked(body) else "neutral"

    with teacher(refuses) as endpoint:
        found = evaluate(tmp_path, endpoint, datasets=["jnli"])
    assert found.metrics["answers"]["missing"] == 3
    figure = found.metrics["figures"]["jnli_exact_match"]
    assert figure["invalid"] == 3
    (result,) = score_files("llm-jp-eval-1.0", [tmp_path / "out"])
    assert Counter(unit.reason for unit in result.units if unit.reason) == {"refused by the server": 3}

    with (
        teacher(lambda body: Reply("down", status=500), attempts=1) as endpoint,
        pytest.raises(StageFailed, match="answers could not be had"),
    ):
        evaluate(tmp_path / "down", endpoint, datasets=["jnli"], limit=2)


def test_runs_of_a_server_are_asked_apart(tmp_path: Path) -> None:
    seeds: list[int] = []

    def answer(body: Body) -> str:
        seeds.append(body["seed"])
        return "neutral" if len(seeds) % 2 else "entailment"

    with teacher(answer, limits={"concurrency": 1}) as endpoint:
        found = evaluate(tmp_path, endpoint, datasets=["jnli"], limit=3, runs=2, sampler={"temperature": 0.7})
    assert len(set(seeds)) == 6
    assert found.metrics["answers"]["asked"] == 6
    assert {(one.item_id, one.run) for one in read_evaluation(tmp_path / "out").generations} == {
        (f"jnli-{number:02d}", run) for number in (5, 6, 7) for run in (0, 1)
    }


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"spec": "fastchat-mt-bench"}, "no spec of llm-jp-eval's kind"),
        ({"spec": "llm-jp-eval-9"}, "no such spec"),
        ({"datasets": ["jglue"]}, "llm-jp-eval-1.0 has no jglue"),
        ({"shots": 5}, "5 examples are wanted, its train split has 4"),
        ({"prompts": "/nowhere.json"}, "no such file"),
        ({"questions": ["/nowhere"]}, "nowhere"),
        ({"style": "completion"}, "answers conversations"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_asked(
    tmp_path: Path, params: dict[str, Any], said: str
) -> None:
    def never(body: Body) -> str:
        raise AssertionError("asked")

    with teacher(never) as endpoint, pytest.raises(UserError, match=said):
        evaluate(tmp_path, endpoint, **params)


def test_params_that_contradict_each_other() -> None:
    model = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    with pytest.raises(ValidationError, match="bos_in_prompt"):
        Params(model=model, bos_in_prompt="<s>")
    with pytest.raises(ValidationError, match="max_tokens"):
        Params(model=model, sampler={"max_tokens": 3})
    assert plan_of(Params(model=model, questions=["bundled"])).places == ("bundled",)  # type: ignore[arg-type]


def test_only_items_that_come_with_watari_are_called_its_own(tmp_path: Path) -> None:
    def told(*places: str, **more: Any) -> bool:
        model: Any = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
        plan = plan_of(Params(model=model, questions=list(places), shots=0, **more))
        return any("the bundled items are Watari's own" in note for note in plan.notes)

    own = tmp_path / "bundled" / "bundled.jsonl"
    own.parent.mkdir()
    own.write_text(json.dumps({"dataset": "niilc", "id": "1", "input": "質問：1？", "gold": "1"}), "utf-8")
    assert told("bundled")
    assert told("bundled", datasets=["jnli"])
    assert not told(str(own))
    assert not told(str(own.parent))


def test_killed_in_the_middle_gives_the_same_bytes(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3].split(":")
from test_evals_jaster_stage import evaluate
from watari.endpoint.settings import Endpoint
endpoint = Endpoint(name="teacher", base_url=sys.argv[2], model="teacher-1", limits={"concurrency": 4})
evaluate(Path(sys.argv[1]), endpoint)
"""
    seen: list[str] = []

    def answer(body: Body) -> str:
        seen.append(asked(body))
        return knows(body)

    with teacher(answer, behaviour=Behaviour(latency=20, sd=0)) as endpoint:
        here = Path(__file__).resolve()
        paths = f"{here.parent}:{here.parents[2]}"
        command = [sys.executable, "-c", code, str(tmp_path), endpoint.base_url, paths]
        child = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while len(seen) < 60 and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.wait()
        assert 60 <= len(seen) < 200
        assert not (tmp_path / "out" / "rows.parquet").exists()
        subprocess.run(command, check=True)
        times = Counter(seen)
        # What was in flight (4), what waited for its commit (100 ms), and as much again.
        assert len(times) == 200
        assert sum(count - 1 for count in times.values()) <= 60
        whole = tmp_path / "whole"
        evaluate(whole, endpoint.model_copy(update={"name": "teacher"}))
    assert files(whole / "out") == files(tmp_path / "out")
