"""Score saved files by any spec, and tell from a file which spec it is scored by."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from watari.errors import UserError
from watari.evals.folder import is_evaluation, read_about
from watari.evals.result import Result
from watari.evals.spec import load_spec, spec_names

_LOOKED_AT = 200
"""Rows of a file of rows that are looked at."""
_UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def score_files(
    spec_name: str,
    paths: Sequence[Path],
    *,
    backend: str | None = None,
    invalid: str | None = None,
    judge: str | None = None,
    questions: Path | None = None,
    seed: int = 0,
) -> list[Result]:
    """Return the results of every model (and judge) in some files, by a spec of any family.

    Args:
        spec_name: As `watari eval specs` lists it.
        paths: Files in the spec's forms, or evaluation folders.
        backend: String ratio of the family jaster; None: the spec's.
        invalid: `drop` or `as-is`, of judged families; None: the spec's.
        judge: Only what this judge rated.
        questions: Question file of the family mtbench; None: the spec's sets.
        seed: Of the bootstrap.

    Raises:
        UserError: for an unknown spec, a file that cannot be read, an option that the family has not, an unknown judge.
    """
    spec = load_spec(spec_name)
    results: list[Result]
    if spec.family != "mtbench":
        _has_not(spec_name, "--questions", questions)
    if spec.family == "jaster":
        from watari.evals.jaster.scoring import score_files as jaster
        from watari.evals.jaster.spec import JasterSpec

        _has_not(spec_name, "--invalid", invalid)
        _has_not(spec_name, "--judge", judge)
        assert isinstance(spec, JasterSpec)
        results = jaster(spec, paths, backend=backend_of(backend), seed=seed)
        return results
    _has_not(spec_name, "--backend", backend)
    if spec.family == "harness":
        from watari.evals.harness.scoring import score_files as harness
        from watari.evals.harness.spec import HarnessSpec

        _has_not(spec_name, "--invalid", invalid)
        _has_not(spec_name, "--judge", judge)
        assert isinstance(spec, HarnessSpec)
        results = harness(spec, paths, seed=seed)
        return results
    policy = policy_of(invalid)
    if spec.family == "mtbench":
        from watari.evals.mtbench.scoring import score_files as mtbench
        from watari.evals.mtbench.spec import MTBenchSpec

        assert isinstance(spec, MTBenchSpec)
        results = mtbench(spec, paths, invalid=policy, judge=judge, questions=questions, seed=seed)
    else:
        from watari.evals.shaberi.scoring import score_files as shaberi
        from watari.evals.shaberi.spec import ShaberiSpec

        assert isinstance(spec, ShaberiSpec)
        results = shaberi(spec, paths, invalid=policy, judge=judge, seed=seed)
    return results


def guess_spec(path: Path) -> str:
    """Return the name of the spec that a file or an evaluation folder is scored by.

    Raises:
        UserError: if it cannot be read, or nothing is known of its form.
    """
    if path.is_dir():
        if is_evaluation(path):
            return read_about(path).spec
        files = sorted(file for file in path.rglob("*.json*") if file.is_file())
        if not files:
            raise UserError(f"{path}: no evaluation folder, and it holds no JSON", "give files, or --spec")
        return guess_spec(files[0])
    rows = _first_rows(path)
    name = _by_form(rows) if rows else None
    if name is None:
        raise UserError(
            f"{path}: neither predictions nor judgments of a known form",
            "say whose it is: --spec " + "|".join(spec_names()),
        )
    return name


def backend_of(name: str | None) -> Literal["levenshtein", "difflib"] | None:
    """Return a checked name of a string ratio; None stays None.

    Raises:
        UserError: for another name.
    """
    if name is None or name == "levenshtein" or name == "difflib":
        return name  # type: ignore[return-value]
    raise UserError(f"--backend {name}: no such string ratio", "levenshtein or difflib")


def policy_of(name: str | None) -> Literal["drop", "as-is"] | None:
    """Return a checked name of what is done with invalid ratings; None stays None.

    Raises:
        UserError: for another name.
    """
    if name is None or name == "drop" or name == "as-is":
        return name  # type: ignore[return-value]
    raise UserError(f"--invalid {name}: no such policy", "drop or as-is")


def _has_not(spec: str, option: str, value: str | Path | None) -> None:
    if value is not None:
        raise UserError(f"{option}: {spec} has no use for it", "leave it out")


def _first_rows(path: Path) -> list[Any]:
    """Return the first rows of a file of rows, or the one value of a .json file, in a list."""
    packed = path.suffix == ".gz"
    suffix = Path(path.stem).suffix if packed else path.suffix
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")
        ) as file:
            if suffix == ".json":
                text = file.read()
                try:
                    return [json.loads(text)]
                except ValueError:
                    lines = text.split("\n")[:_LOOKED_AT]
            else:
                lines = list(itertools.islice(file, _LOOKED_AT))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", "check the path") from None
    except _UNREADABLE as error:
        raise UserError(f"{path}: cannot be read: {error}", "is it whole?") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError):
                raise UserError(f"{path}:{number}: not JSON", "mend or remove the line") from None
    return rows


def _by_form(rows: Sequence[Any]) -> str | None:
    """Return the spec whose files have rows like these."""
    first = rows[0]
    if isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, dict):
        return None
    if "doc_id" in first and "resps" in first:
        return "lm-evaluation-harness"
    if isinstance(first.get("results"), dict) and isinstance(first.get("versions"), dict):
        return "lm-evaluation-harness"
    if (name := _jaster(rows, first)) is not None:
        return name
    if {"g1_winner", "g2_winner"} & set(first):
        return "fastchat-mt-bench"
    if {"turns", "choices"} & set(first):
        return None  # questions, answers: nothing there is a score
    if "question_id" in first:
        japanese = any(
            _says(row, "user_prompt", "[指示]") or _says(row, "judgment", "[[評価") for row in rows
        )
        return "stability-ja-mt-bench" if japanese else "fastchat-mt-bench"
    judged = {"scores", "judgement", "judgment", "score", "answer", "ModelAnswer"} & set(first)
    if judged and ({"dataset", "model", "Question", "question"} & set(first)):
        return "shaberi"
    return None


def _jaster(rows: Sequence[Any], first: Mapping[str, Any]) -> str | None:
    """Return which release of llm-jp-eval has the datasets of these predictions; None if they are none."""
    if isinstance(first.get("outputs"), dict):  # 1.3 keeps the answers beside the settings
        return "llm-jp-eval-1.3"
    if "pred" in first and "dataset" in first:
        datasets = {row.get("dataset") for row in rows if isinstance(row, dict)}
    else:
        nested = {
            name for name, items in first.items()
            if isinstance(items, list) and items and isinstance(items[0], dict) and "pred" in items[0]
        }  # fmt: skip
        if not nested:
            return None
        datasets = set(nested)
    known = load_spec("llm-jp-eval-1.0").model_dump()["datasets"]
    return "llm-jp-eval-1.0" if datasets <= set(known) else "llm-jp-eval-1.3"


def _says(row: Any, field: str, words: str) -> bool:
    return isinstance(row, dict) and isinstance(row.get(field), str) and words in row[field]
