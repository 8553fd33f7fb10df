"""Every judge's text of a file, read again by a spec's rule and held against what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from watari.errors import UserError
from watari.evals.mtbench.fields import SCORES, TEXTS, score_of, texts_of
from watari.evals.mtbench.reading import judgment_files, rows_of
from watari.evals.mtbench.spec import MTBenchSpec
from watari.evals.mtbench.units import UNREADABLE
from watari.judge.rating import rating_of, why_unreadable


def rate_file(spec: MTBenchSpec, path: Path) -> list[dict[str, Any]]:
    """Return what each judge's text says: {row, question_id, model, turn, rating, stored, same, reason?, run?}.

    Rows count from 1 over the files of `path`. `rating` and `stored` are None where there is none: a stored -1 is none.
    `same` is None where the row has no score at all. Nothing but a text is asked of a row.

    Raises:
        UserError: for a row without a judge's text, or with a score that is no number; a path without rows.
    """
    from watari.evals.folder import is_evaluation

    if is_evaluation(path):
        path = path / "judgments.parquet"
    found: list[dict[str, Any]] = []
    number = 0
    for file in judgment_files(path):
        for row, place in rows_of(file):
            number += 1
            texts = texts_of(row, place)
            if texts is None:
                raise UserError(f"{place}: no judge's text in it", f"one of {', '.join(TEXTS)} is wanted")
            stored = next((row[name] for name in SCORES if name in row), _NOTHING)
            scores = stored if isinstance(stored, list) else [stored] * len(texts)
            if len(scores) != len(texts):
                raise UserError(f"{place}: {len(scores)} scores, but {len(texts)} judgments")
            for run, (text, score) in enumerate(zip(texts, scores, strict=True)):
                found.append(
                    {
                        "row": number,
                        "question_id": row.get("question_id"),
                        "model": row.get("model", row.get("model_id")),
                        "turn": row.get("turn"),
                        **({"run": run} if len(texts) > 1 else {}),
                        **_compared(spec, text, score, place),
                    }
                )
    if not found:
        raise UserError(f"{path}: no judgments in it", "each line is one judgment")
    return found


_NOTHING = object()


def _compared(spec: MTBenchSpec, text: str | None, score: Any, place: str) -> dict[str, Any]:
    rating = None if text is None else rating_of(spec.rating, text)
    reason = {} if rating is not None else {"reason": why_unreadable(text)}
    if score is _NOTHING:
        return {"rating": rating, "stored": None, "same": None, **reason}
    stored = score_of(score, f"{place}: score")
    stored = None if stored == UNREADABLE else stored
    return {"rating": rating, "stored": stored, "same": rating == stored, **reason}
