"""Tasks for lm-evaluation-harness, its own command line on a model of ours, and what it says taken over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tokenizers import Tokenizer
from typer.testing import CliRunner

from tiny_llama import make_folder
from watari.cli.main import app
from watari.errors import UserError
from watari.evals.folder import read_evaluation
from watari.evals.harness import called
from watari.evals.harness.bos import bos_advice, told
from watari.evals.harness.tasks import write_tasks
from watari.evals.scoring import score_files

GOLDS = {"jnli": ["entailment", "neutral"], "niilc": ["富士山", "東京,大阪"], "jsts": ["1.0", "4.2", "3.3"]}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Datasets of each kind of metric; an input has braces in it, which Jinja would read."""
    file = tmp_path / "rows.jsonl"
    lines = [
        {
            "dataset": name,
            "id": f"{split}{n}",
            "split": split,
            "gold": golds[n % len(golds)],
            "input": f"文{n} {{{{x}}}}",
        }
        for name, golds in GOLDS.items()
        for split, count in (("train", 4), ("test", 5))
        for n in range(count)
    ]
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return file


def command(*words: str) -> Any:
    return CliRunner().invoke(app, ["eval", *words])


def loaded(file: Path) -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: f"!{node.value}")
    found: dict[str, Any] = yaml.load(file.read_text("utf-8"), Loader)
    return found


def test_the_task_files_say_what_the_harness_needs(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "tasks"
    written = write_tasks(out, spec_name="llm-jp-eval-1.0", questions=str(rows), limit=3)
    assert [(task.name, task.items) for task in written] == [(f"watari_{name}", 3) for name in sorted(GOLDS)]
    task = loaded(out / "watari_jsts.yaml")
    assert task["generation_kwargs"] == {"until": ["\n"], "do_sample": False, "max_gen_toks": 3}
    assert [rule["metric"] for rule in task["metric_list"]] == ["pearson", "spearman"]
    assert task["metric_list"][0]["aggregation"] == "!watari_tasks.pearson"
    assert loaded(out / "watari_niilc.yaml")["metric_list"][0]["aggregation"] == "mean"
    items = [json.loads(line) for line in (out / "items" / "jnli.jsonl").read_text("utf-8").splitlines()]
    assert items[0]["prompt"].endswith("### 入力：\n文0 {{x}}\n### 回答：\n")
    assert items[0]["prompt"].count("### 回答：") == 5
    assert items[0]["gold"] == "entailment"
    # Written again with other items, nothing of before is left; other files are not touched.
    rows.write_text(rows.read_text("utf-8").replace('"niilc"', '"jsquad"'), "utf-8")
    write_tasks(out, spec_name="llm-jp-eval-1.0", questions=str(rows))
    assert sorted(file.stem for file in out.glob("*.yaml")) == ["watari_jnli", "watari_jsquad", "watari_jsts"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x", "utf-8")
    with pytest.raises(UserError, match="holds other files"):
        write_tasks(tmp_path / "other", spec_name="llm-jp-eval-1.0", questions=str(rows))


def test_judged_specs_are_refused(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="judged"):
        write_tasks(tmp_path / "tasks", spec_name="shaberi", questions=str(rows))


def test_answers_are_read_and_scored_as_by_the_spec() -> None:
    def doc(gold: str, *metrics: str, spec: str = "llm-jp-eval-1.0") -> dict[str, Any]:
        return {"gold": gold, "spec": spec, "metrics": list(metrics)}

    assert called.score(doc("entailment", "exact_match"), ["ｅｎｔａｉｌｍｅｎｔ\nx"]) == {"exact_match": 1.0}
    # 1.0 keeps blanks, and they fail an exact match.
    assert called.score(doc("entailment", "exact_match"), [" entailment"]) == {"exact_match": 0.0}
    assert called.score(doc("東京 大阪", "char_f1"), ["大阪 東京"]) == {"char_f1": 1.0}
    assert called.score(doc("1.5", "pearson"), ["答えは 2.5"]) == {"pearson": [2.5, 1.5]}
    assert called.correlation("pearson", [[1, 1], [2, 2], [3, 4]]) == pytest.approx(0.98198, abs=1e-5)
    assert called.correlation("pearson", [[1, 1], [1, 2]]) == 0.0


@pytest.mark.parametrize(
    ("single", "found"),
    [
        ("<s> $A", "leaves it out unless asked"),
        ("$A", "unasked: "),
        ("<s> <s> $A", "2 times"),
    ],
)
def test_bos_advice_mends_what_can_be_mended(tmp_path: Path, single: str, found: str) -> None:
    """Seen with the installed transformers: told to add BOS, it puts its own post-processor in the place of the file's."""
    from tokenizers import processors

    make_folder(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair="$A $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    advice = bos_advice(tmp_path)
    assert (advice.model_args, advice.mend) == ("add_bos_token=True", "")
    assert advice.found.startswith("<s> once, at the start")
    assert found in advice.found


def test_no_bos_is_no_trouble(tmp_path: Path) -> None:
    make_folder(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (tmp_path / name).is_file():
            said = json.loads((tmp_path / name).read_text("utf-8"))
            said.pop("bos_token", None)
            (tmp_path / name).write_text(json.dumps(said), "utf-8")
    advice = bos_advice(tmp_path)
    assert (advice.bos, advice.model_args, advice.mend) == (None, "", "")


def test_bos_by_the_harness_version() -> None:
    assert told({}, "0.4.9.1") is False
    assert told({}, "0.4.9.2") is None
    assert told({}, "0.4.13") is None
    assert told({}, "") is None
    assert told({"add_bos_token": "True"}, "0.4.3") is True
    assert told({"add_bos_token": "False"}, "0.4.13") is False


def test_the_command_names_the_call(rows: Path, tmp_path: Path) -> None:
    make_folder(tmp_path / "model")
    done = command(
        *["harness-tasks", "--out", str(tmp_path / "tasks"), "--spec", "llm-jp-eval-1.0"],
        *["--questions", str(rows), "--model", str(tmp_path / "model"), "--json"],
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert f"pretrained={tmp_path / 'model'},add_bos_token=True" in said["command"]
    assert said["tasks"] == {f"watari_{name}": 5 for name in GOLDS}
    done = command("harness-tasks", "--out", str(tmp_path / "t2"), "--model", str(tmp_path / "nothing"))
    assert done.exit_code == 1
    assert not (tmp_path / "t2").exists()


@pytest.mark.slow
def test_the_harness_itself_runs_our_model_and_its_figures_come_out_again(rows: Path, tmp_path: Path) -> None:
    model, tasks, out = tmp_path / "model", tmp_path / "tasks", tmp_path / "out"
    make_folder(model, max_position_embeddings=2048)
    write_tasks(tasks, spec_name="llm-jp-eval-1.0", questions=str(rows))
    program = Path(sys.executable).with_name("lm_eval")
    found = str(program) if program.is_file() else shutil.which("lm_eval")
    assert found, "lm_eval is not installed: pip install -c constraints.txt -e '.[lm-eval]'"
    done = subprocess.run(
        [
            *[found, "run", "--model", "hf", "--model_args", f"pretrained={model},add_bos_token=True"],
            *["--tasks", "watari_jaster", "--include_path", str(tasks), "--device", "cpu"],
            *["--log_samples", "--output_path", str(out)],
        ],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = command(
        "import-harness", str(out), "--out", str(tmp_path / "kept"), "--model", "tiny", "--json"
    )
    assert imported.exit_code == 0, imported.output
    [said] = json.loads(imported.stdout)
    assert {figure["verdict"] for figure in said["figures"].values()} == {"same"}
    assert set(said["figures"]) == {
        "watari_jnli_exact_match",
        "watari_niilc_char_f1",
        "watari_jsts_pearson",
        "watari_jsts_spearman",
    }
    assert said["warnings"] == []
    # Not all wrong alike: a tiny model's answers share characters with the right ones now and then.
    samples = next(out.rglob("samples_watari_niilc_*.jsonl")).read_text("utf-8").splitlines()
    again = [called.score(row["doc"], row["resps"][0])["char_f1"] for row in map(json.loads, samples)]
    assert again == [row["char_f1"] for row in map(json.loads, samples)]
    [result] = score_files("lm-evaluation-harness", [tmp_path / "kept"])
    assert result.model == "tiny"
    assert result.figures["watari_niilc_char_f1"].value == pytest.approx(sum(again) / len(again), abs=1e-12)
    # The same model, asked by ourselves: the same prompts, the same answers, the same scores.
    ours = command(
        *["run", "llm-jp-eval-1.0", "--model", str(model), "--questions", str(rows)],
        *["--out", str(tmp_path / "ours"), "--json"],
    )
    scores = json.loads(ours.stdout)["models"]
    (mine,) = scores.values()
    for name, figure in said["figures"].items():
        assert mine["scores"][name.removeprefix("watari_")] == pytest.approx(figure["printed"], abs=1e-9), (
            name
        )
    asked = {
        json.loads(line)["doc"]["prompt"]
        for file in out.rglob("samples_*.jsonl")
        for line in file.open(encoding="utf-8")
    }
    answered = {one.rendered_prompt for one in read_evaluation(tmp_path / "ours").generations}
    assert asked == {prompt.removeprefix("<s>") for prompt in answered}
