"""`watari eval ...`: score, run, compare and show evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watari.cli.variadic import VariadicCommand

eval_app = typer.Typer(help="Score, run, compare and show evaluations.", no_args_is_help=True)

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A spec: see `watari eval specs`.")]
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...", help="Files in the spec's form (.gz too), or folders of `watari eval run`."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read (docs/cli.md).")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]
LookedLikeOption = Annotated[str | None, typer.Option("--spec", help="Default: what the files look like.")]
OneJudgeOption = Annotated[str | None, typer.Option(help="Only what this judge rated.")]
InvalidOption = Annotated[
    str | None,
    typer.Option(help="Invalid ratings: drop, or as-is (-1 is averaged in). Given: no refusal."),
]
MaxInvalidOption = Annotated[
    float, typer.Option(min=0, max=1, help="Refuse a model with a larger share of invalid rows.")
]
QuestionsOption = Annotated[
    str, typer.Option("--questions", help="bundled, a file, a folder of datasets, or a hub id.")
]


@eval_app.callback()
def _eval() -> None:
    """Score, run, compare and show evaluations."""


@eval_app.command("specs")
def specs(json_output: JsonOption = False) -> None:
    """List the specs: what each pins, and where it comes from.

    Example: watari eval specs
    """
    from watari.cli.evaluation.specs import specs_command

    specs_command(as_json=json_output)


@eval_app.command("score", cls=VariadicCommand)
def score(
    spec: SpecArgument,
    files: FilesArgument,
    backend: Annotated[
        str | None,
        typer.Option(help="String ratio of llm-jp-eval's char_f1: levenshtein (default) or difflib."),
    ] = None,
    invalid: InvalidOption = None,
    max_invalid: MaxInvalidOption = 0.05,
    judge: OneJudgeOption = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="MT-Bench: the question file, for other questions than the spec's."
        ),
    ] = None,
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Compute scores again from saved answers or judgments.

    Nothing is asked of any model. Invalid rows are counted and shown; intervals are bootstraps clustered by question.

    Example: watari eval score llm-jp-eval-1.0 logs/shisa-7b-v1/output_eval.json --json
    """
    from watari.cli.evaluation.scoring import score_command

    score_command(
        spec, files, backend=backend, invalid=invalid, max_invalid=max_invalid, judge=judge,
        questions=questions, seed=seed, as_json=json_output,
    )  # fmt: skip


@eval_app.command("rating")
def rating(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Judgments, or any rows with a judge's text.")],
    spec: Annotated[str, typer.Option("--spec", help="Whose rule reads the rating.")],
    json_output: JsonOption = False,
) -> None:
    """Read ratings out of judges' texts; compare with those stored.

    Example: watari eval rating --spec fastchat-mt-bench gpt-4_single.jsonl --json
    """
    from watari.cli.evaluation.rating import rating_command

    rating_command(file, spec=spec, as_json=json_output)


@eval_app.command("run")
def run(
    spec: SpecArgument,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where all of it goes; the same again resumes.")
    ],
    model: Annotated[
        str, typer.Option("--model", help="A model's folder, or name=URL of an OpenAI-compatible server.")
    ],
    judge: Annotated[
        str | None, typer.Option("--judge", help="The judge: name=URL of an OpenAI-compatible server.")
    ] = None,
    questions: QuestionsOption = "bundled",
    runs: Annotated[int | None, typer.Option(min=1, help="Answers a question; default: the spec's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many items (of each dataset).")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other parameter (docs/stages.md)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the prompts and what would be asked; ask nothing.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Generate, judge and score; the same command again goes on.

    The prompt really sent is checked first: a lost or doubled BOS stops it. No answer and no judgment is paid for twice.

    Example: watari eval run llm-jp-eval-1.0 --model runs/demo/stages/dpo --out evals/dpo --limit 20
    """
    from watari.cli.evaluation.asking import Order
    from watari.cli.evaluation.running import run_command

    order = Order(model, judge, limit, settings or [], out, dry_run, json_output)
    run_command(spec, order, questions=questions, runs=runs)


@eval_app.command("compare", cls=VariadicCommand)
def compare(
    files: FilesArgument,
    spec: LookedLikeOption = None,
    judge: OneJudgeOption = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Only these; give it twice or more.")
    ] = None,
    invalid: Annotated[str | None, typer.Option(help="Invalid ratings: drop or as-is.")] = None,
    max_invalid: Annotated[
        float, typer.Option("--max-invalid", help="Share of invalid rows above which a model is refused.")
    ] = 0.05,
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Compare models on the questions both answered, paired.

    Two models: the difference, its interval (bootstrap clustered by question) and how many questions or runs would
    settle it. More: a table with groups of models that are not told apart.

    Example: watari eval compare a/output_eval.json b/output_eval.json --json
    """
    from watari.cli.evaluation.comparing import compare_command

    compare_command(
        files, spec=spec, judge=judge, models=models or [], invalid=invalid, max_invalid=max_invalid, seed=seed,
        as_json=json_output,
    )  # fmt: skip


@eval_app.command("judges", cls=VariadicCommand)
def judges(
    files: FilesArgument,
    spec: LookedLikeOption = None,
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Show how far judges agree on the same answers.

    Kendall's tau of the models' ranks, correlation of items, shift of level, and each judge's unreadable ratings.

    Example: watari eval judges judgments.jsonl --spec fastchat-mt-bench
    """
    from watari.cli.evaluation.agreeing import judges_command

    judges_command(files, spec=spec, seed=seed, as_json=json_output)


@eval_app.command("contamination", cls=VariadicCommand)
def contamination(
    training: Annotated[
        list[str], typer.Argument(metavar="DATA...", help="What was trained on: artifacts, or files of rows.")
    ],
    tests: Annotated[
        list[str],
        typer.Option("--tests", help="Evaluation folders, datasets or question files; may be repeated."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write the items that were found.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Look for test texts in training data; score without them.

    Example: watari eval contamination runs/demo/stages/mixed --tests evals/dpo
    """
    from watari.cli.evaluation.contaminating import contamination_command

    contamination_command(training, tests=tests, out=out, as_json=json_output)


@eval_app.command("texts", cls=VariadicCommand)
def texts(
    names: Annotated[
        list[str],
        typer.Argument(metavar="SPEC|FILE...", help="Specs, evaluation folders, datasets, question files."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the rows go (.jsonl).")],
) -> None:
    """Write what evaluations ask, to keep training data clean of it.

    Name the file under `decontaminate` of corpus.build or data.mix, or in `watari eval contamination --tests`.

    Example: watari eval texts llm-jp-eval-1.0 question.jsonl --out tests.jsonl
    """
    from watari.cli.evaluation.contaminating import texts_command

    texts_command(names, out=out)


@eval_app.command("report", cls=VariadicCommand)
def report(
    files: FilesArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the page, plots and tables go.")],
    spec: LookedLikeOption = None,
    invalid: InvalidOption = None,
    max_invalid: MaxInvalidOption = 0.05,
    judge: OneJudgeOption = None,
    title: Annotated[str, typer.Option(help="Stands above the page.")] = "",
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Write PNG and SVG files too.")] = True,
    seed: SeedOption = 0,
) -> None:
    """Make one HTML page of evaluations: tables, plots, every answer.

    Files of answers and questions may be given too: the page shows them beside the judge's words. Also writes plots as
    PNG and SVG, the tables of the seeds' cards as Markdown, and every figure as figures.json.

    Example: watari eval report evals/dpo evals/sft --out evals/page
    """
    from watari.cli.evaluation.reporting import report_command

    report_command(
        files, out=out, spec=spec, invalid=invalid, max_invalid=max_invalid, judge=judge, title=title, plots=plots,
        seed=seed,
    )  # fmt: skip


@eval_app.command("harness-tasks")
def harness_tasks(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the task files go.")],
    spec: Annotated[
        str, typer.Option("--spec", help="Whose prompts and rules: a spec of llm-jp-eval.")
    ] = "llm-jp-eval-1.3",
    questions: QuestionsOption = "bundled",
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="Look at its BOS, and say how to call.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many items of each dataset.")] = None,
    json_output: JsonOption = False,
) -> None:
    """Write tasks that lm-evaluation-harness runs.

    The harness sends the same prompts as `watari eval run`, and scores by the same rules, in its own command line.

    Example: watari eval harness-tasks --out tasks --model runs/demo/stages/dpo
    """
    from watari.cli.evaluation.harness import tasks_command

    tasks_command(out, spec=spec, questions=questions, model=model, limit=limit, as_json=json_output)


@eval_app.command("import-harness", cls=VariadicCommand)
def import_harness(
    files: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="What lm_eval wrote: its --output_path, or results_*.json."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The evaluation folder to write.")],
    model: Annotated[str | None, typer.Option("--model", help="Call the model this.")] = None,
    seed: SeedOption = 0,
    json_output: JsonOption = False,
) -> None:
    """Take over results of lm-evaluation-harness.

    Counts every figure again from the samples (--log_samples) and holds it against what the harness printed; exit code 3
    if one differs. The folder goes into `watari eval score`, `compare` and `report` like any other.

    Example: watari eval import-harness lm-eval-out --out evals/harness
    """
    from watari.cli.evaluation.harness import import_command

    import_command(files, out=out, model=model, seed=seed, as_json=json_output)
