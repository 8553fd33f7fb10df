"""Results of llm-jp-eval: every stored run as it was published, and what a file lacks or has too much of."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watari.cli.eval import eval_app
from watari.errors import CheckFailed, UserError
from watari.evals import folder
from watari.evals.jaster.ratio import other_backend
from watari.evals.jaster.reading import Answers, Column
from watari.evals.jaster.scoring import as_json, as_table, results_of, score_files
from watari.evals.spec import load_spec

SPEC = load_spec("llm-jp-eval-1.0")
NLI = ("jamp", "janli", "jnli", "jsem", "jsick")
EVERY = (*NLI, "jcommonsenseqa", "jemhopqa", "niilc", "jsquad", "jsts")


@pytest.fixture(scope="module")
def runs(test_data) -> Path:
    return test_data / "shisa-llm-jp-eval"


@pytest.fixture(scope="module")
def published(runs):
    return json.loads((runs / "published_scores.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def backends(runs):
    told = json.loads((runs / "recomputation.json").read_text("utf-8"))
    return {model: one["ratio_backend"] for model, one in told.items()}


@pytest.fixture(scope="module")
def results(runs):
    return score_files(SPEC, [runs / "predictions.jsonl.gz"])


def answers(model="m", datasets=EVERY, size=4, **changed) -> Answers:
    """Answers of which the first half is right."""
    made = Answers(model, sources=["rows.jsonl"])
    for dataset in datasets:
        column = made.columns[dataset] = Column()
        for item in range(size):
            gold = str(float(item)) if dataset == "jsts" else "東京"
            right = item < size // 2 or dataset == "jsts"
            column.add(str(item), gold, changed.get(dataset, gold if right else "京都"))
    return made


def of(*several: Answers, **options):
    return results_of(SPEC, several, **options)


def scores(result):
    return {name: figure.value for name, figure in result.figures.items()}


def mismatches(scored, published, backends, backend):
    """Figures that differ from the published ones at four decimals, of the runs of one backend."""
    return [
        (model, name, scored[model][name], value)
        for model, figures in published.items()
        for name, value in figures.items()
        if name != "csv_line" and backends[model] == backend and f"{scored[model][name]:.4f}" != value
    ]


def test_every_published_figure_comes_out(results, published, backends):
    assert len(published) == 41
    assert Counter(backends.values()) == {"levenshtein": 35, "difflib": 6}
    assert {result.model for result in results} == set(published)
    mine = {result.model: scores(result) for result in results}
    others = {result.model: result.settings["other_backend"]["scores"] for result in results}
    assert mismatches(mine, published, backends, "levenshtein") == []
    assert mismatches(others, published, backends, "difflib") == []
    # Each with the wrong backend does differ: the test can fail.
    assert len(mismatches(others, published, backends, "levenshtein")) > 50
    assert len(mismatches(mine, published, backends, "difflib")) > 5
    for result in results:
        assert list(result.figures) == [
            "AVR", "MC", "NLI", "QA", "RC", *(name for name, _, _ in SPEC.dataset_figures())
        ]  # fmt: skip


def test_the_command_says_the_same(runs, published, backends):
    done = CliRunner().invoke(
        eval_app,
        ["score", "llm-jp-eval-1.0", str(runs / "predictions.jsonl.gz"), "--backend", "difflib", "--json"],
    )
    assert done.exit_code == 0, done.output
    models = json.loads(done.stdout)["models"]
    assert {one["backend"] for one in models.values()} == {"difflib"}
    assert {one["other_backend"]["backend"] for one in models.values()} == {"levenshtein"}
    assert {(one["n"], one["invalid"]) for one in models.values()} == {(1000, 0)}
    mine = {model: one["scores"] for model, one in models.items()}
    others = {model: one["other_backend"]["scores"] for model, one in models.items()}
    assert mismatches(mine, published, backends, "difflib") == []
    assert mismatches(others, published, backends, "levenshtein") == []
    for one in models.values():
        assert set(one["intervals"]) == set(one["scores"])


def test_intervals_are_of_items_within_datasets(results):
    (dpo,) = [one for one in results if one.model == "shisa-mega-dpo-7b-v1.1"]
    figure = dpo.figures["AVR"]
    assert f"{figure.value:.4f}" == "0.7480"
    # facts/evaluation.md has [0.723, 0.773], from other draws.
    assert (figure.low, figure.high) == pytest.approx((0.723, 0.773), abs=0.003)
    for result in results:
        for name, one in result.figures.items():
            if name.startswith("jsts") and one.low is None:
                assert one.value == 0.0  # a constant column
                continue
            assert one.low <= one.value <= one.high, (result.model, name)


def test_units_make_the_overall_figure(results):
    for result in results:
        total = sum(unit.weight for unit in result.units)
        mean = sum(unit.weight * unit.value for unit in result.units) / total
        assert mean == pytest.approx(result.figures["AVR"].value, abs=1e-9)
        assert total == pytest.approx(1)
        assert Counter(unit.stratum for unit in result.units) == dict.fromkeys(EVERY, 100)
        assert {unit.category for unit in result.units if not unit.weight} == {""}


def test_seeds_change_intervals_only(runs, tmp_path):
    with gzip.open(runs / "predictions.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [line for line in file if '"calm2-7b"' in line]
    (tmp_path / "rows.jsonl").write_text("".join(lines), "utf-8")
    (tmp_path / "mixed.jsonl").write_text("".join(reversed(lines)), "utf-8")
    one, again = (score_files(SPEC, [tmp_path / "rows.jsonl"])[0] for _ in range(2))
    other = score_files(SPEC, [tmp_path / "rows.jsonl"], seed=1)[0]
    assert one == again
    assert scores(one) == scores(other)
    assert one.figures["AVR"].low != other.figures["AVR"].low
    # Nor does the order of the rows matter.
    mixed = score_files(SPEC, [tmp_path / "mixed.jsonl"])[0]
    for name, figure in one.figures.items():
        assert mixed.figures[name].value == pytest.approx(figure.value, abs=1e-12)
        assert (mixed.figures[name].low, mixed.figures[name].high) == pytest.approx(
            (figure.low, figure.high), abs=1e-9
        )


def test_a_plain_case_by_hand():
    (result,) = of(answers())
    # 京都 and 東京 share one character of four.
    assert scores(result) == pytest.approx(
        {"AVR": (0.5 + 0.5 + 0.75 + 0.75) / 4, "NLI": 0.5, "MC": 0.5, "QA": 0.75, "RC": 0.75}
        | {f"{name}_exact_match": 0.5 for name in (*NLI, "jcommonsenseqa")}
        | {f"{name}_char_f1": 0.75 for name in ("jemhopqa", "niilc", "jsquad")}
        | {"jsts_pearson": 1.0, "jsts_spearman": 1.0}
    )
    assert result.notes == ()
    assert result.settings["true_char_f1"] == dict.fromkeys(("jemhopqa", "jsquad", "niilc"), 0.75)


def test_categories_are_added_in_the_order_of_the_spec():
    given = answers(datasets=("jcommonsenseqa", "jnli", "jemhopqa", "jsquad"), size=10)
    for dataset, right in (("jcommonsenseqa", 3), ("jnli", 1), ("jemhopqa", 1), ("jsquad", 1)):
        column = given.columns[dataset]
        column.preds = [column.golds[0]] * right + [""] * (10 - right)
    (result,) = of(given)
    assert [scores(result)[name] for name in SPEC.sum_order] == [0.1, 0.1, 0.1, 0.3]
    # A rounding apart: 0.1 + 0.1 + 0.1 is not 0.3.
    assert scores(result)["AVR"] == (0.1 + 0.1 + 0.1 + 0.3) / 4 != (0.3 + 0.1 + 0.1 + 0.1) / 4


def test_a_category_without_a_dataset_counts_0():
    (result,) = of(answers(datasets=(*NLI, "jcommonsenseqa", "jemhopqa")))
    assert scores(result)["AVR"] == pytest.approx((0.5 + 0.5 + 0.75 + 0) / 4)
    assert scores(result)["RC"] == 0.0
    assert scores(result)["QA"] == 0.75
    figure = result.figures["AVR"]
    assert 0 < figure.low <= figure.value <= figure.high <= 0.75
    assert "QA: no niilc: the mean of the others" in result.notes
    assert "RC: no jsquad: it counts 0 in AVR" in result.notes
    assert "no jsts" in result.notes


def test_what_does_not_belong_is_told():
    given = answers()
    given.columns["aio"] = Column()
    given.columns["aio"].add("0", "a", "a")
    given.columns["jnli"].add("0", "東京", "東京")
    given.columns["jnli"].add("0", "東京", "大阪")
    (result,) = of(given)
    assert scores(result) == scores(of(answers())[0])
    assert "1 rows are of no dataset of llm-jp-eval-1.0 and left out: aio" in result.notes
    assert (
        "jnli: 2 rows of items that had one already, left out, 1 of them with another answer" in result.notes
    )


def test_a_model_of_other_datasets_is_refused():
    strange = Answers("m", {"aio": Column()}, ["rows.jsonl"])
    strange.columns["aio"].add("0", "a", "a")
    with pytest.raises(
        UserError, match=r"rows.jsonl: m: no answers to a dataset of llm-jp-eval-1.0 \(they are of aio"
    ):
        of(strange)


@pytest.mark.parametrize("pred", [None, 3, "", "  "])
def test_no_answer_is_a_wrong_answer(pred):
    (result,) = of(answers(jnli=pred))
    assert scores(result)["jnli_exact_match"] == 0.0
    told = as_json([result], SPEC, max_invalid=0.2)["models"]["m"]
    assert told["n"] == 40
    if isinstance(pred, str):
        assert told["invalid"] == 0
        assert "jnli: 4 of 4 answers are empty, which is wrong" in result.notes
    else:
        assert told["invalid"] == 4
        assert told["invalid_reasons"] == {"the answer is no text": 4}
        assert "jnli: 4 of 4 counted as wrong: the answer is no text" in result.notes
        figure = result.figures["NLI"]
        assert (figure.n, figure.invalid) == (16, 4)
    assert "refused" not in told


def test_a_constant_answer_has_a_correlation_of_0():
    (result,) = of(answers(jsts="3.0"))
    assert scores(result)["jsts_pearson"] == scores(result)["jsts_spearman"] == 0.0
    assert any(note.startswith("jsts_pearson: there is no correlation") for note in result.notes)
    assert result.figures["jsts_pearson"].low is None
    (result,) = of(answers(jsts="高い"))
    assert "jsts: 4 of 4 answers hold no number and count as -2" in result.notes


def test_runs_are_scored_each_and_averaged():
    given = answers()
    for column in list(given.columns.values()):
        for item in range(4):
            column.add(str(item), column.golds[item], column.golds[item], run=3)
    (result,) = of(given)
    assert result.runs == 2
    assert scores(result)["jnli_exact_match"] == 0.75
    first = scores(of(answers())[0])
    assert scores(result)["AVR"] == pytest.approx((first["AVR"] + 1) / 2)
    assert result.figures["AVR"].run_sd == pytest.approx((1 - first["AVR"]) / 2**0.5)
    assert as_json([result], SPEC)["models"]["m"]["run_sd"]["NLI"] == pytest.approx(0.5 / 2**0.5)


def test_the_other_backend_is_told_where_it_differs():
    # One block of difflib's after another misses what a common subsequence finds.
    given = answers(niilc="tide", jemhopqa="東京")
    given.columns["niilc"].golds = ["diet"] * 4
    results = {backend: of(given, backend=backend)[0] for backend in ("levenshtein", "difflib")}
    for backend, result in results.items():
        other = results[other_backend(backend)]
        assert result.settings["backend"] == backend
        assert result.settings["other_backend"]["scores"] == scores(other)
        assert result.notes == (
            f"AVR is {other.figures['AVR'].value:.4f} with the {other_backend(backend)} ratio",
        )
    assert scores(results["levenshtein"])["niilc_char_f1"] == 0.5
    assert scores(results["difflib"])["niilc_char_f1"] == 0.25


def rows(path, *several: Answers) -> str:
    with path.open("w", encoding="utf-8") as file:
        for one in several:
            for dataset, column in one.columns.items():
                for place, item in enumerate(column.items):
                    row = {
                        "model": one.model,
                        "dataset": dataset,
                        "i": int(item),
                        "gold": column.golds[place],
                    }
                    row["pred"] = None if place in column.reasons else column.preds[place]
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return str(path)


def score(*arguments):
    return CliRunner().invoke(eval_app, ["score", "llm-jp-eval-1.0", *arguments])


def test_too_many_items_without_an_answer_are_refused(tmp_path):
    file = rows(tmp_path / "rows.jsonl", answers("good"), answers("bad", jnli=None))
    done = score(file, "--json")
    assert done.exit_code == 0  # one of two can be believed
    assert "refused: bad (10.0 % of 40 answers are invalid)" in done.stderr
    models = json.loads(done.stdout)["models"]
    assert models["bad"]["refused"] == "10.0 % of 40 answers are invalid"
    assert models["bad"]["scores"]["NLI"] == 0.4
    assert "refused" not in models["good"]
    shown = score(file)
    assert "refused: bad: 10.0 % of 40 answers are invalid" in shown.stdout
    assert "0.6000" not in shown.stdout  # its AVR
    assert score(file, "--max-invalid", "0.1").exit_code == 0
    alone = score(rows(tmp_path / "bad.jsonl", answers("bad", jnli=None)), "--json")
    assert isinstance(alone.exception, CheckFailed)
    assert "refused: bad (10.0 % of 40 answers are invalid)" in str(alone.exception)


def test_tables_are_80_columns_wide(tmp_path):
    names = [
        "m",
        "a-name-that-is-much-too-long-for-one-line-of-a-table-of-eighty-columns",
        "日本語のモデル名" * 6,
        "[red]x",
    ]
    file = rows(tmp_path / "rows.jsonl", *(answers(name) for name in names))
    shown = score(file)
    assert shown.exit_code == 0, shown.output
    from rich.cells import cell_len

    assert max(cell_len(line) for line in shown.stdout.splitlines()) <= 80
    assert "[red]x" in shown.stdout
    assert "0.6250" in shown.stdout
    one = score(rows(tmp_path / "one.jsonl", answers("m")))
    assert "jsquad_char_f1" in one.stdout
    assert "AVR" in one.stdout


def test_no_intervals_where_they_are_not_wanted():
    (result,) = of(answers(), rounds=0)
    assert all(figure.low is None for figure in result.figures.values())
    assert scores(result) == scores(of(answers())[0])
    assert as_table([result], SPEC) is not None


def test_options_of_other_families_are_refused(tmp_path):
    file = rows(tmp_path / "rows.jsonl", answers())
    for option, value in (("--judge", "gpt-4"), ("--invalid", "drop"), ("--backend", "rapidfuzz")):
        done = score(file, option, value)
        assert isinstance(done.exception, UserError), option
        assert str(done.exception).startswith(option)


def test_an_evaluation_folder_gives_the_same_figures(tmp_path):
    given = answers("m")
    items = [
        folder.Item(item, dataset, ("入力",), gold=column.golds[place])
        for dataset, column in given.columns.items()
        for place, item in enumerate(column.items)
    ]
    generations = [
        folder.Generation(
            id=f"{dataset}-{item}", item_id=item, group=dataset, model="m", run=0, turn=1, response=" whatever\n\nmore",
            finish_reason="stop", gold=column.golds[place], pred=column.preds[place],
            problem="timeout" if (dataset, item) == ("jnli", "3") else "",
        )
        for dataset, column in given.columns.items()
        for place, item in enumerate(column.items)
    ]  # fmt: skip
    about = folder.About(SPEC.name, SPEC.label, SPEC.version, SPEC.digest, "m")
    out = tmp_path / "evaluation"
    (expected,) = of(given)
    folder.write_evaluation(
        out, folder.Evaluation(about, tuple(items), tuple(generations)), [expected], metric="score"
    )
    (found,) = score_files(SPEC, [out])
    assert scores(found) == scores(expected)
    assert found.sources == (str(out),)
    assert "jnli: 1 of 4 counted as wrong: timeout" in found.notes
    both = score_files(SPEC, [tmp_path])
    assert [one.model for one in both] == ["m"]


def test_nothing_heavy_is_imported(tmp_path):
    file = rows(tmp_path / "rows.jsonl", answers())
    code = (
        "import sys; sys.argv = ['watari', 'eval', 'score', 'llm-jp-eval-1.0', sys.argv[1]]\n"
        "from watari.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'pandas', 'scipy', 'numba', 'pyarrow', 'transformers', 'matplotlib', 'duckdb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, encoding="utf-8", env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0.6250" in done.stdout


def test_shuffled_rows_give_the_same_bytes(tmp_path, runs):
    import random

    with gzip.open(runs / "predictions.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [line for line in lines if '"shisa-gamma-7b-v1"' in line or '"shisa-mega-7b-v1.2"' in line]
    assert len(rows) > 1000
    first, second = tmp_path / "a" / "rows.jsonl", tmp_path / "b" / "rows.jsonl"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("".join(rows), "utf-8")
        random.Random(1).shuffle(rows)
    told = [
        json.dumps(as_json(score_files(SPEC, [path], rounds=50), SPEC)).encode() for path in (first, second)
    ]
    assert told[0] == told[1]


def shown(content) -> str:
    from rich.console import Console

    console = Console(width=80, highlight=False, force_terminal=False, color_system=None)
    with console.capture() as kept:
        console.print(content)
    return kept.get()


def test_a_table_of_refused_models_alone_shows_no_empty_columns(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"model":"a","dataset":"jnli","i":0,"gold":"x","pred":NaN}\n')
    lines = shown(as_table(score_files(SPEC, [path]), SPEC)).splitlines()
    assert lines[0].split() == ["model", "AVR"]
    assert lines[1].split() == ["a", "-"]
    assert lines[3] == "refused: a: 100.0 % of 1 answers are invalid"
