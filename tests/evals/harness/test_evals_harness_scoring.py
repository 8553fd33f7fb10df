"""Results of lm-evaluation-harness: the forms of its versions, counted again from the samples, held against the print."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from watari.errors import UserError
from watari.evals.folder import read_evaluation
from watari.evals.harness.importing import import_results
from watari.evals.harness.reading import arguments_of, read_calls
from watari.evals.harness.scoring import OVERALL, score_calls, score_files
from watari.evals.harness.spec import NAME, HarnessSpec
from watari.evals.result import Result
from watari.evals.scoring import guess_spec
from watari.evals.scoring import score_files as score_any
from watari.evals.spec import load_spec

STAMP = "2026-01-02T03-04-05.678901"
VALUES = {"alpha": [1.0, 0.0, 1.0, 1.0], "beta": [0.0, 1.0]}


def spec() -> HarnessSpec:
    found = load_spec(NAME)
    assert isinstance(found, HarnessSpec)
    return found


def sample(
    doc: int, value: Any, *, metric: str = "exact_match", filter_: str | None = "none"
) -> dict[str, Any]:
    said = {} if filter_ is None else {"filter": filter_, "metrics": [metric]}
    return {
        "doc_id": doc,
        "doc": {"q": doc},
        "target": "猫",
        "arguments": {"gen_args_0": {"arg_0": f"問い{doc}", "arg_1": {"until": ["\n"]}}},
        "resps": [[f"答え{doc}。"]],
        "filtered_resps": [f"答え{doc}"],
        metric: value,
        **said,
    }


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def stderr(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def results(**more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "results": {
            name: {
                "alias": name,
                "exact_match,none": sum(v) / len(v),
                "exact_match_stderr,none": stderr(v),
            }
            for name, v in VALUES.items()
        },
        "configs": {
            name: {
                "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]
            }
            for name in VALUES
        },
        "versions": {"alpha": 2, "beta": 1.0},
        "n-shot": {"alpha": 4, "beta": 0},
        "n-samples": {name: {"original": len(v), "effective": len(v)} for name, v in VALUES.items()},
        "config": {"model": "hf", "model_args": {"pretrained": "runs/x/stages/dpo/", "add_bos_token": True}},
        "lm_eval_version": "0.4.13",
        "model_name": "runs/x/stages/dpo/",
        "date": 1.5,
    }
    return said | more


def write(folder: Path, said: dict[str, Any] | None = None, stamp: str = STAMP) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"results_{stamp}.json").write_text(json.dumps(said or results()), "utf-8")
    for name, values in VALUES.items():
        text = lines([sample(doc, value) for doc, value in enumerate(values)])
        (folder / f"samples_{name}_{stamp}.jsonl").write_text(text, "utf-8")
    return folder


def scored(path: Path) -> Result:
    return score_files(spec(), [path])[0]


def test_every_figure_is_counted_again_and_agrees(tmp_path: Path) -> None:
    [one] = score_calls(spec(), read_calls([write(tmp_path)]))
    assert [(c.figure, c.ours, c.verdict) for c in one.checks] == [
        ("alpha_exact_match", 0.75, "same"),
        ("beta_exact_match", 0.5, "same"),
    ]
    result = one.result
    assert result.model == "runs/x/stages/dpo"
    assert result.figures[OVERALL].value == (0.75 + 0.5) / 2
    assert result.figures["alpha_exact_match"].n == 4
    low, high = result.figures[OVERALL].low, result.figures[OVERALL].high
    assert low is not None
    assert high is not None
    assert 0 <= low < 0.625 < high <= 1
    assert result.figures["alpha_exact_match"].low is None  # four documents
    total = sum(u.weight * u.value for u in result.units if u.value is not None) / sum(
        u.weight for u in result.units
    )
    assert total == pytest.approx(0.625, abs=1e-12)
    assert result.settings["tasks"] == {
        "alpha": {"version": "2", "shots": 4},
        "beta": {"version": "1.0", "shots": 0},
    }
    assert result.notes == ()


def test_a_figure_that_its_samples_do_not_give_is_told(tmp_path: Path) -> None:
    said = results()
    said["results"]["alpha"]["exact_match,none"] = 0.7500001
    result = scored(write(tmp_path, said))
    assert result.figures["alpha_exact_match"].value == 0.75
    assert any("alpha_exact_match" in note for note in result.notes)


def test_filters_are_kept_apart(tmp_path: Path) -> None:
    said = results()
    said["results"]["alpha"] |= {"exact_match,strict": 0.25}
    folder = write(tmp_path, said)
    rows = [sample(doc, value) for doc, value in enumerate(VALUES["alpha"])]
    rows += [sample(doc, float(doc == 2), filter_="strict") for doc in range(4)]
    (folder / f"samples_alpha_{STAMP}.jsonl").write_text(lines(rows), "utf-8")
    figures = scored(folder).figures
    assert figures["alpha_exact_match"].value == 0.75
    assert figures["alpha_exact_match,strict"].value == 0.25
    assert figures[OVERALL].value == 0.625


def test_the_form_of_040_to_042(tmp_path: Path) -> None:
    """results.json, samples as one JSON list, requests as lists, filters not named, arguments as text."""
    said = results(config={"model": "hf", "model_args": "pretrained=org/model,dtype=float16"})
    del said["model_name"], said["lm_eval_version"], said["n-samples"]
    said["results"]["alpha"] |= {"exact_match,strict": 0.25}
    (tmp_path / "results.json").write_text(json.dumps(said), "utf-8")
    rows = [sample(doc, value, filter_=None) for doc, value in enumerate(VALUES["alpha"])]
    rows += [sample(doc, float(doc == 2), filter_=None) for doc in range(4)]
    for row in rows:
        row["arguments"] = [[f"問い{row['doc_id']}", {"until": []}]]
    (tmp_path / "pretrained__org__model_alpha.jsonl").write_text(json.dumps(rows, indent=2), "utf-8")
    (tmp_path / "pretrained__org__model_not_alpha.jsonl").write_text("[]", "utf-8")
    result = scored(tmp_path)
    assert result.model == "org/model"
    assert result.figures["alpha_exact_match"].value == 0.75
    assert result.figures["alpha_exact_match,strict"].value == 0.25
    assert any("no samples" in note and "beta" in note for note in result.notes)


def test_the_form_of_03_without_samples(tmp_path: Path) -> None:
    said = {
        "results": {"arc": {"acc": 0.3, "acc_stderr": 0.01}, "wiki": {"word_perplexity": 12.5}},
        "versions": {"arc": 0, "wiki": 1},
        "config": {"model": "hf-causal", "model_args": "pretrained=gpt2"},
    }
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(said), "utf-8")
    [one] = score_calls(spec(), read_calls([file]))
    assert [check.verdict for check in one.checks] == ["as printed"] * 2
    assert one.result.figures["arc_acc"].stderr == 0.01
    assert one.result.figures["arc_acc"].low is None
    assert one.result.figures[OVERALL].value == 0.3
    assert guess_spec(file) == NAME


def test_groups_weigh_as_the_harness_did(tmp_path: Path) -> None:
    said = results(group_subtasks={"both": ["alpha", "inner"], "inner": ["beta"]})
    said["groups"] = {
        "both": {"alias": "both", "exact_match,none": (3 + 1) / 6, "exact_match_stderr,none": 0.2},
        "inner": {"alias": " - inner", "exact_match,none": 0.5},
    }
    said["results"] |= said["groups"]
    [one] = score_calls(spec(), read_calls([write(tmp_path / "sized", said)]))
    verdicts = {check.figure: check.verdict for check in one.checks}
    assert verdicts == dict.fromkeys(
        ["alpha_exact_match", "beta_exact_match", "both_exact_match", "inner_exact_match"], "same"
    )
    assert one.result.figures["both_exact_match"].n == 6
    said["groups"]["both"]["exact_match,none"] = 0.625
    said["results"] |= said["groups"]
    [one] = score_calls(spec(), read_calls([write(tmp_path / "plain", said)]))
    assert one.result.figures["both_exact_match"].value == 0.625
    assert all(check.verdict == "same" for check in one.checks)
    said["groups"]["both"]["exact_match,none"] = 0.61
    said["results"] |= said["groups"]
    [one] = score_calls(spec(), read_calls([write(tmp_path / "other", said)]))
    assert [c.figure for c in one.checks if c.verdict == "different"] == ["both_exact_match"]


def test_perplexities_are_counted_and_in_no_overall_figure(tmp_path: Path) -> None:
    pairs = [[-30.0, 10], [-50.0, 15]]
    said = results()
    said["results"]["wiki"] = {
        "word_perplexity,none": math.exp(80 / 25),
        "word_perplexity_stderr,none": "N/A",
    }
    said["results"]["wiki"]["bits_per_byte,none"] = 80 / 25 / math.log(2)
    said["higher_is_better"] = {"wiki": {"word_perplexity": False, "bits_per_byte": False}}
    folder = write(tmp_path, said)
    rows = [
        sample(doc, pair, metric="word_perplexity") | {"bits_per_byte": pair}
        for doc, pair in enumerate(pairs)
    ]
    (folder / f"samples_wiki_{STAMP}.jsonl").write_text(lines(rows), "utf-8")
    [one] = score_calls(spec(), read_calls([folder]))
    assert {check.verdict for check in one.checks} == {"same"}
    assert one.result.figures["wiki_word_perplexity"].value == pytest.approx(math.exp(3.2), rel=1e-12)
    assert one.result.figures[OVERALL].value == 0.625


def test_a_rule_of_the_tasks_own_is_taken_as_printed(tmp_path: Path) -> None:
    said = results()
    said["configs"]["beta"]["metric_list"][0]["aggregation"] = "def mine(items): ..."
    said["results"]["beta"]["exact_match,none"] = 0.123
    [one] = score_calls(spec(), read_calls([write(tmp_path, said)]))
    assert [(c.figure, c.verdict) for c in one.checks][1] == ("beta_exact_match", "as printed")
    assert one.result.figures["beta_exact_match"].value == 0.123


def test_the_last_of_two_calls_counts_and_models_stand_apart(tmp_path: Path) -> None:
    write(tmp_path / "m")
    later = results(date=2.5)
    later["results"]["alpha"]["exact_match,none"] = 1.0
    folder = write(tmp_path / "m", later, stamp="2026-02-02T03-04-05.6")
    ones = lines([sample(doc, 1.0) for doc in range(4)])
    (folder / "samples_alpha_2026-02-02T03-04-05.6.jsonl").write_text(ones, "utf-8")
    write(tmp_path / "n", results(model_name="other"))
    mine, other = score_files(spec(), [tmp_path])
    assert mine.figures["alpha_exact_match"].value == 1.0
    assert any("more than once" in note for note in mine.notes)
    assert (other.model, other.figures["alpha_exact_match"].value) == ("other", 0.75)


def test_a_limit_and_an_unreadable_value_are_told(tmp_path: Path) -> None:
    said = results()
    said["n-samples"]["alpha"] = {"original": 1000, "effective": 4}
    folder = write(tmp_path, said)
    rows = [sample(doc, value) for doc, value in enumerate([0.0, 1.0])]
    rows[0]["exact_match"] = None
    (folder / f"samples_beta_{STAMP}.jsonl").write_text(lines(rows), "utf-8")
    result = scored(folder)
    assert any("4 of 1000" in note for note in result.notes)
    assert result.invalid == 1
    assert result.figures["beta_exact_match"].invalid == 1


def test_choices_show_the_likeliest(tmp_path: Path) -> None:
    said = results()
    row = sample(0, 1.0) | {
        "arguments": {
            f"gen_args_{n}": {"arg_0": "問い", "arg_1": c} for n, c in enumerate([" はい", " いいえ"])
        },
        "resps": [[["-3.5", "False"]], [["-1.25", "False"]]],
        "filtered_resps": [["-3.5", "False"], ["-1.25", "False"]],
    }
    folder = write(tmp_path, said)
    (folder / f"samples_beta_{STAMP}.jsonl").write_text(lines([row]), "utf-8")
    [call] = read_calls([folder])
    [found] = call.tasks["beta"].samples
    assert (found.response, found.choices, found.prompt) == (" いいえ", (" はい", " いいえ"), "問い")


def test_an_imported_folder_gives_the_same_figures(tmp_path: Path) -> None:
    source = write(tmp_path / "out" / "model")
    packed = source / f"samples_beta_{STAMP}.jsonl"
    (source / f"{packed.name}.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    [one] = import_results([tmp_path / "out"], tmp_path / "kept", model="dpo")
    assert one.folder == tmp_path / "kept"
    assert guess_spec(one.folder) == NAME
    [again] = score_any(NAME, [one.folder])
    assert again.model == "dpo"
    assert again.figures == one.scored.result.figures
    assert again.units == one.scored.result.units
    kept = read_evaluation(one.folder)
    assert {(item.group, item.id) for item in kept.items} == {(u.stratum, u.item) for u in again.units}
    assert kept.generations[0].response == "答え0。"
    assert kept.generations[0].pred == "答え0"
    assert kept.generations[0].rendered_prompt == "問い0"
    with pytest.raises(UserError, match="is there already"):
        import_results([tmp_path / "out"], tmp_path / "kept")


def test_several_models_get_folders_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "a", results(model_name="org/x"))
    write(tmp_path / "b", results(model_name="org-x"))
    folders = [one.folder.name for one in import_results([tmp_path / "a", tmp_path / "b"], tmp_path / "kept")]
    assert folders == ["org-x", "org-x-2"]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        (f"results_{STAMP}.json", "{", "not JSON"),
        (f"results_{STAMP}.json", "[]", "not a result file"),
        (f"results_{STAMP}.json", '{"results": {"a": 1}, "versions": {}}', "results of a: not a map"),
        (f"results_{STAMP}.json", '{"results": {}, "versions": {}}', "no task with figures"),
        (f"samples_alpha_{STAMP}.jsonl", '{"doc_id": 0}\n{"doc', rf"samples_alpha_{STAMP}.jsonl:2: not JSON"),
        (f"samples_alpha_{STAMP}.jsonl", "{}\n", rf"samples_alpha_{STAMP}.jsonl:1: .*no doc_id"),
        (f"samples_alpha_{STAMP}.jsonl", "[1]", "sample 1: not a sample"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, file: str, text: str, told: str) -> None:
    write(tmp_path)
    (tmp_path / file).write_text(text, "utf-8")
    with pytest.raises(UserError, match=told):
        scored(tmp_path)


def test_other_mistakes(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(UserError, match="samples without their results"):
        scored(tmp_path / f"samples_alpha_{STAMP}.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no results_\*.json"):
        scored(tmp_path / "empty")
    with pytest.raises(UserError, match="no such file"):
        scored(tmp_path / "nothing")
    (tmp_path / f"results_{STAMP}.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        scored(tmp_path)


def test_model_arguments_of_both_forms() -> None:
    assert arguments_of("pretrained=a/b,add_bos_token=True") == {"pretrained": "a/b", "add_bos_token": "True"}
    assert arguments_of({"pretrained": "a", "add_bos_token": True}) == {
        "pretrained": "a",
        "add_bos_token": "True",
    }
    assert arguments_of(None) == {}
