"""A made-up run that looks at leaks and mends them: scans by the real stage, a sweep and a repair in the forms that theirs write.

As a script it writes a report to look at: `python tests/report/fake_leakage.py FOLDER`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from watari.artifact.kinds import Kind
from watari.artifact.rows import read_rows
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.stats.intervals import wilson

CLEAN = {
    "en": "The old bridge leads to a small market where farmers sell rice and tea every morning.",
    "ja": "古い橋の先に小さな市場があり、毎朝農家の人がお米とお茶を売っています。",
}
LEAKY = {
    "en": "The old bridge leads to a small 市場 where farmers sell rice and 緑茶 every morning.",
    "ja": "古い橋の先に小さな시장があり、毎朝農家の人がお米とお茶を売っています。",
}
PROMPT = {"en": "Describe the village in English.", "ja": "村の様子を日本語で書いてください。"}
CELLS = (
    ("T0", 0.02, 0.985, ["greedy"], True),
    ("T0.7", 0.08, 0.99, ["shisa"], True),
    ("T1", 0.22, 0.94, [], False),
    ("T1 min_p0.1", 0.1, 0.97, [], False),
)


def said(leaks: float, *, models: tuple[str, ...] = ("chat",)) -> list[dict[str, Any]]:
    """Return answers to 24 prompts at three temperatures; about `leaks` of those at 1.0 leak, fewer of the others."""
    rows = []
    for model_place, model in enumerate(models):
        for temperature in (0.1, 0.7, 1.0):
            for item in range(24):
                language = "en" if item % 2 else "ja"
                turn = (item * 7 + model_place * 3 + round(10 * temperature)) % 24
                text = (LEAKY if turn < 24 * leaks * temperature else CLEAN)[language]
                rows.append(
                    {
                        "id": f"{model}-{temperature}-{item}",
                        "item_id": f"q{item}",
                        "model": model,
                        "run": 0,
                        "rendered_prompt": f"{PROMPT[language]} ({item})",
                        "expected_lang": language,
                        "response": text,
                        "temperature": temperature,
                    }
                )
    return rows


def scan(fakes: Any, run: Any, name: str, source: str, rows: list[dict[str, Any]], model: str) -> None:
    """Add generations and a scan of them, made by the stage itself."""
    from watari.leakage import stage

    asked = run.stage(source, "eval.mtbench", Kind.GENERATIONS, inputs={"model": [model]}, rows=rows)
    out = run.root / f"working-{name}"
    out.mkdir()
    done = stage.run(stage.Params(data=[source]), Inputs({"data": [asked]}), out, Silent())
    files = {
        path.name: path.read_text("utf-8")
        for path in sorted(out.iterdir())
        if path.suffix in (".json", ".jsonl", ".html")
    }
    scores = list(read_rows(out))
    run.stage(
        name,
        "leakage.scan",
        Kind.SCORES,
        inputs={"data": [source]},
        metrics=done.metrics,
        files=files,
        rows=scores,
    )


def sweep(run: Any, name: str, model: str, *, keeps: bool = False) -> None:
    """Add a sweep of four settings, in the form of `sweep.run`."""
    rows = []
    cells = []
    for cell, leaking, sound, marks, front in CELLS:
        for metric, value in (("leaking", leaking), ("sound", sound), ("truncated", 0.0)):
            ends = wilson(round(value * 200), 200)
            rows.append(
                {
                    "metric": metric,
                    "group": cell,
                    "value": value,
                    "n": 200,
                    "invalid": 0,
                    "stderr": ends.stderr,
                    "ci_low": ends.low,
                    "ci_high": ends.high,
                    "spec": "watari-sweep/1",
                    "judge": None,
                    "runs": 2,
                }
            )
        for metric, value in (("events", 4 * leaking), ("distinct_2", 0.81), ("characters", 312.5)):
            rows.append(
                rows[-1] | {"metric": metric, "value": value, "ci_low": value * 0.9, "ci_high": value * 1.1}
            )
        cells.append({"name": cell, "marks": marks, "on_front": front})
    metrics = {
        "model": "chat",
        "cells": len(cells),
        "default": "T0.7",
        "recommended": "T0.7" if keeps else "T0",
        "keeps_default": keeps,
        "reason": [
            "T0 leaks in 2.0 % of responses, the default (T0.7) in 8.0 %: 6.0 points less [2.1, 9.9]."
        ],
    }
    said = {} if keeps else {str(metrics["reason"][0]): "T0 では応答の 2.0 % に混入があります。"}  # type: ignore[index]
    whole = {"cells": cells, "prompts": {"count": 100}, "model": "chat", "in_japanese": said}
    run.stage(
        name,
        "sweep.run",
        Kind.SCORES,
        inputs={"model": [model]},
        metrics=metrics,
        files={"sweep.json": json.dumps(whole), "sweep.html": "<!DOCTYPE html><title>Sweep</title>"},
        rows=rows,
    )


def repair(fakes: Any, run: Any, name: str, model: str, data: str) -> None:
    """Add a repair of 40 steps, in the form of `train.repair`."""
    lines = []
    for step in range(1, 41):
        left = math.exp(-4 * step / 40)
        row = {"step": step, "loss": 0.1 + 0.9 * left, "lr": 5e-6, "grad_norm": 0.8, "tokens": 600 * step}
        lines.append(
            json.dumps(row | {"p_bad": round(0.55 * left, 4), "p_good": round(0.7 - 0.45 * left, 4)})
        )

    def part(pairs: int, p_bad: float, mended: float) -> dict[str, float]:
        likely = {"first_p_bad": p_bad * 0.7, "first_p_good": 0.4, "leak_logprob": -9.0}
        return {"pairs": pairs, "p_bad": p_bad, "p_good": 1 - p_bad, "mended": mended, **likely}

    run.stage(
        name,
        "train.repair",
        Kind.MODEL,
        inputs={"model": [model], "data": [data]},
        parameters={"lr": 5e-6, "alpha_ul": 2.0},
        metrics={
            "steps": 40,
            "tokens": 24_000,
            "rows_in": 130,
            "kept": 128,
            "dropped": 2,
            "dropped_by_reason": {"too long": 2},
            "first_loss": 1.0,
            "last_loss": 0.12,
            "before": {"train": part(115, 0.52, 0.1), "holdout": part(13, 0.49, 2 / 13)},
            "after": {"train": part(115, 0.01, 1.0), "holdout": part(13, 0.07, 11 / 13)},
        },
        files={"train_log.jsonl": "\n".join(lines) + "\n"},
    )


def leaking_run(fakes: Any, root: Path) -> list[InputArtifact]:
    """Return a run: a chat model, a scan, leaks mined, a repair, a scan of what came of it, a sweep."""
    run = fakes.FakeRun(root)
    run.stage("chat", "model.load", Kind.MODEL, metrics={"parameters": 11_400_000})
    scan(fakes, run, "leaks_before", "said_before", said(0.5), "chat")
    run.stage(
        "mended",
        "leakage.mine",
        Kind.PREFERENCES,
        inputs={"data": ["said_before"], "model": ["chat"]},
        metrics={
            "rows_in": 72,
            "kept": 20,
            "dropped": 52,
            "dropped_by_reason": {"no leak": 49, "leaks again": 3},
            "leaking": 23,
            "leaks_mended": 31,
            "by_class": {"glyph": 10, "token": 21},
        },
        rows=[
            {
                "id": "1",
                "prompt": [{"role": "user", "content": PROMPT["en"]}],
                "chosen": CLEAN["en"],
                "rejected": LEAKY["en"],
            }
        ],
    )
    repair(fakes, run, "repaired", "chat", "mended")
    scan(fakes, run, "leaks_after", "said_after", said(0.12), "repaired")
    sweep(run, "swept", "repaired")
    made: list[InputArtifact] = run.all()
    return made


def main(folder: Path) -> None:
    """Write the page into `folder`, plain and as a run folder has it."""
    import fake_run as fakes
    from watari.report.page import build, with_run_times

    artifacts = leaking_run(fakes, folder / "store")
    page = build(artifacts)
    stages = [{"name": one.name, "seconds": 2.5, "performance": {}, "state": "done"} for one in artifacts]
    (folder / "report.html").write_text(page.html, "utf-8")
    (folder / "timed.html").write_text(with_run_times(page.html, {"stages": stages}), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
