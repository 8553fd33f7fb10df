"""From paths to what the page shows: which are scored and by which spec, which only hold texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.page.forms import add_file, add_folder, add_judgments, add_predictions, is_items
from watari.evals.page.rows import rows_of
from watari.evals.page.texts import Texts
from watari.evals.result import Result
from watari.evals.spec import SpecHead, load_spec


@dataclass
class Gathered:
    """Everything that the page is made of.

    Args:
        results: Of every spec, judge and model.
        specs: By the label that results are marked with.
        texts: What was asked, answered and said.
        sources: The paths, and what each was taken for: a spec's name, or "texts".
        folders: Those that are evaluation folders.
    """

    results: list[Result]
    specs: dict[str, SpecHead]
    texts: Texts
    sources: list[tuple[str, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def gather(
    paths: Sequence[Path],
    spec: str | None = None,
    *,
    invalid: str | None = None,
    judge: str | None = None,
    seed: int = 0,
) -> Gathered:
    """Score what can be scored, and collect all texts.

    Args:
        paths: Evaluation folders, files that a spec scores, and files of answers or questions that belong to them.
        spec: What files are scored by; None: what each looks like. Evaluation folders say it themselves.
        invalid: `drop` or `as-is`, of judged families; None: the spec's own.
        judge: Only what this judge rated.
        seed: Of the bootstrap.

    Raises:
        UserError: if a path is not there, cannot be read or is of no known form, or nothing can be scored.
    """
    from watari.evals.folder import is_evaluation, read_about
    from watari.evals.mtbench.spec import MTBenchSpec
    from watari.evals.scoring import guess_spec, score_files

    scored: dict[str, list[Path]] = {}
    beside: list[Path] = []
    for path in _unfolded(paths):
        folder = is_evaluation(path)
        if not folder and texts_only(path):
            beside.append(path)
            continue
        name = read_about(path).spec if folder else spec or guess_spec(path)
        scored.setdefault(name, []).append(path)
    if not scored:
        raise UserError(
            f"{paths[0]}: holds answers or questions, but no scores" if paths else "nothing given",
            "give judgments, predictions or evaluation folders too",
        )
    results: list[Result] = []
    specs: dict[str, SpecHead] = {}
    texts = Texts()
    for name, members in scored.items():
        head = load_spec(name)
        # Answers and items of Shaberi's files say more about its scores: the share of Japanese, the categories.
        more = beside if head.family == "shaberi" else []
        judged = head.family in ("mtbench", "shaberi")
        found = score_files(
            name,
            [*members, *filter(_of_shaberi, more)],
            invalid=invalid if judged else None,
            judge=judge if judged else None,
            questions=_questions(head, beside),
            seed=seed,
        )
        results += found
        specs |= dict.fromkeys((result.spec for result in found), head)
        files = [path for path in members if not is_evaluation(path)]
        if files and head.family == "mtbench":
            assert isinstance(head, MTBenchSpec)
            add_judgments(texts, head, files)
        if files and head.family == "jaster":
            add_predictions(texts, files)
    names = dataset_names(specs.values())
    folders = [path for members in scored.values() for path in members if is_evaluation(path)]
    for path in folders:
        add_folder(texts, path, names)
    told = [file for members in scored.values() for member in members for file in _files(member)]
    for path in [*beside, *told]:
        add_file(texts, path, names)
    sources = [(str(path), name) for name, members in scored.items() for path in members]
    return Gathered(results, specs, texts, [*sources, *((str(path), "texts") for path in beside)], folders)


def _unfolded(paths: Sequence[Path]) -> list[Path]:
    """Return the paths; a folder that is no evaluation, but holds some, stands for those."""
    from watari.evals.folder import ABOUT

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: there is no such file or folder", "check the path")
        inside = sorted(about.parent for about in path.glob(f"*/{ABOUT}")) if path.is_dir() else []
        found += inside if inside and not (path / ABOUT).is_file() else [path]
    return list(dict.fromkeys(found))


def _files(path: Path) -> list[Path]:
    """Return the file, or a folder's files of llm-jp-eval's outputs, that may hold texts."""
    if path.is_dir():
        return sorted(
            file for name in ("output_eval.json", "output_eval.json.gz") for file in path.rglob(name)
        )
    return [path]


def texts_only(path: Path) -> bool:
    """Return whether a file holds answers or questions, but nothing that a spec scores."""
    if not path.is_file():
        return False
    rows = list(islice(rows_of(path), 3))
    return bool(rows) and all(
        isinstance(row.get("choices"), list)
        or (isinstance(row.get("turns"), list) and "score" not in row)
        or ("input" in row and "dataset" in row and "pred" not in row)
        or _answer(row)
        or ("judge_output" in row and "judge" not in row)
        or is_items(row)
        for row in rows
    )


def _questions(spec: SpecHead, paths: Sequence[Path]) -> Path | None:
    """Return the one question file that says the categories; a closed spec knows its questions itself."""
    if spec.family != "mtbench" or getattr(spec, "closed", False):
        return None
    found = [path for path in paths if {"question_id", "category", "turns"} <= set(next(rows_of(path), {}))]
    return found[0] if len(found) == 1 else None


def _answer(row: Mapping[str, Any]) -> bool:
    return "answer" in row and not ({"score", "scores", "judge_output", "judgement"} & set(row))


def _of_shaberi(path: Path) -> bool:
    first = next(rows_of(path), {})
    return _answer(first) or is_items(first)


def dataset_names(specs: Iterable[SpecHead]) -> dict[str, str]:
    """Return how results call a dataset, by every name (casefolded) that files have for it."""
    found: dict[str, str] = {}
    for spec in specs:
        for name, dataset in getattr(spec, "by_name", {}).items():
            found[name] = dataset.short
    return found
