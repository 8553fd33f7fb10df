"""Repair of a model that leaks: before, a logit bias, plain DPO and `train.repair` on the same mined rows.

    python benchmarks/leakage_repair.py --work runs [--model demo|real-small] [--data FOLDER] [--seed N ...] [--quick]

Two models (`leakage_small.py`): the demo's, and a small chat model of real text. Each answers prompts of its own training at a
temperature of 1, several times; the leaking answers are mined (`leakage.mine`: the model mends its own leaks). Measured is on
prompts that no training has seen:
- events per 1,000 characters and answers with any, with 95 % intervals over prompts, and the difference to the model before,
  paired by prompt;
- probability of wrong-script tokens on the clean answers of the model before;
- bits per character on held-out text and exact match, in both languages.

Parameters are the stages' own defaults for both models. The rate alone goes by size: that of 8 billion parameters times
the root of 8 billion over the model's (facts/seed-systems.md §2). The defaults were chosen on the demo; real-small had no say.
Every arm prints a line of JSON, a table follows on stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sides import one_thread

one_thread()

from inputs import artifact  # noqa: E402  one_thread() comes before every import that starts threads
from leakage_measures import Arm, answers, bits_per_character, exact, line_of, mass, prompts_of, stage  # noqa: E402
from leakage_small import demo_run, small_run  # noqa: E402

from watari.artifact.kinds import Kind  # noqa: E402
from watari.artifact.rows import write_rows  # noqa: E402
from watari.artifact.stage import InputArtifact, Inputs, Silent  # noqa: E402
from watari.generate.local import LocalModel  # noqa: E402
from watari.leakage.bias import LIMIT, logit_bias  # noqa: E402
from watari.leakage.comparison import compare  # noqa: E402
from watari.leakage.mining import mine  # noqa: E402
from watari.leakage.redecoding import Redecoder  # noqa: E402
from watari.leakage.scan import Scanned  # noqa: E402
from watari.leakage.tally import tally_of  # noqa: E402

Bias = dict[str, Mapping[int, float]]
"""Of each language."""
CODES = ("en", "ja")
MODELS = {"demo": "dpo", "real-small": "sft"}
"""The stage of each run whose model is repaired."""
RATES = {"repair": 5e-6, "dpo": 1.25e-7}
"""Of 8 billion parameters: the stages' defaults."""
SPANS: Mapping[str, Any] = {"alpha_ul": 1.0, "alpha_rf": 0.1, "alpha_script": 0.0, "alpha_hold": 0.0}
"""Shisa V2.1's repair."""
ARMS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "dpo": ("dpo", "dpo", {}),
    "dpo, rate of repair": ("dpo", "repair", {"epochs": 2}),
    "repair, spans alone": ("repair", "repair", SPANS),
    "repair": ("repair", "repair", {}),
}
"""What is trained: the stage, whose rate, and parameters that are not its defaults."""


def scaled(rate: float, model: InputArtifact) -> float:
    """Return a rate of 8 billion parameters for a model of another size, two digits."""
    metrics = model.manifest.metrics
    return float(f"{rate * math.sqrt(8e9 / metrics['parameters']):.2g}")


def trained(
    kind: str,
    model: InputArtifact,
    rows: InputArtifact,
    out: Path,
    seed: int,
    lr: float,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Train one arm and return its metrics."""
    from watari.train import dpo, repair

    module: Any = {"repair": repair, "dpo": dpo}[kind]
    out.mkdir()
    given = {"model": "m", "data": "rows", "sequence": 256, "lr": lr, "seed": seed, "threads": 1, "batch": 16}
    params = module.Params.model_validate({**given, "precision": "fp32", **more})
    metrics: dict[str, Any] = module.run(
        params, Inputs({"model": [model], "data": [rows]}), out, Silent()
    ).metrics
    return metrics


class Bench:
    """A run's model and its prompts: mined once, every arm measured alike."""

    def __init__(self, run: Path, name: str, options: argparse.Namespace, work: Path) -> None:
        self.run, self.work, self.options = run, work, options
        self.model = stage(run, MODELS[name])
        self.added_from = int(stage(run, "grafted").manifest.metrics["vocabulary_before"])
        self.before = Arm(LocalModel(self.model.path, device="cpu"))
        self.asked = prompts_of(run, "asked", 30 if options.quick else options.prompts)

    def mined(self, seed: int) -> tuple[InputArtifact, dict[str, Bias], dict[str, int]]:
        """Return the rows that the model's answers to training prompts give, biases against what leaks, and counts."""
        options = self.options
        given = prompts_of(self.run, "chat", 30 if options.quick else options.mined)
        times = 2 if options.quick else options.mined_times
        said = answers(self.before, given, times, temperature=options.mined_temperature, seed=1000 + seed)
        found = list(mine(said, Redecoder(self.before.model)))
        rows = {one.row["id"]: one.row for one in found if one.row is not None}
        folder = self.work / f"rows-{seed}"
        write_rows(folder / "rows.parquet", Kind.PREFERENCES, rows.values())
        every = len(self.before.model.tokenizer)
        known = {
            code: mass(self.before, said, code, added_from=self.added_from, listed=every) for code in CODES
        }
        biases = {
            name: {
                code: logit_bias(one, added_only=False, limit=limit).for_local()
                for code, one in known.items()
            }
            for name, limit in (("logit bias", LIMIT), ("logit bias, no limit", every))
        }
        counts = {"mined_answers": len(said), "leaking": len(found), "rows": len(rows)}
        return artifact("rows", folder, Kind.PREFERENCES), biases, counts

    def said(self, arm: Arm) -> list[Scanned]:
        """Return an arm's answers to the prompts that nothing has trained on."""
        times = 1 if self.options.quick else self.options.times
        return answers(arm, self.asked, times, temperature=1.0, seed=2)

    def measured(self, arm: Arm, start: list[Scanned]) -> dict[str, Any]:
        """Return an arm's figures, beside those of the model before, whose answers are `start`."""
        said = self.said(arm)
        sides = [[tally_of(one) for one in side if one.judged] for side in (said, start)]
        both = compare(*sides, by=[], rounds=300 if self.options.quick else 2000)
        share = both.whole.share
        found: dict[str, Any] = line_of(both.whole.a) | {
            "against_before": [
                None if one is None else round(one, 4) for one in (share.value, share.low, share.high)
            ],
            "p": share.p_permutation,
            "answers": len(sides[0]),
            "characters": sum(one.characters for one in sides[0]),
        }
        for part in both.parts:
            if part.part.startswith(("expected ", "class ")):
                found[part.part] = line_of(part.a)
        for code in CODES:
            found[f"wrong_mass_{code}"] = float(
                f"{mass(arm, start, code, added_from=self.added_from).mass:.3g}"
            )
            found[f"bits_{code}"] = round(bits_per_character(arm, self.run, code), 3)
            found[f"exact_{code}"] = round(exact(arm, self.run, code), 3)
        return found


def benched(run: Path, name: str, options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Print and return a line for each arm and seed of a model."""
    lines: list[dict[str, Any]] = []

    def tell(arm: str, seed: int | None, found: dict[str, Any]) -> None:
        lines.append({"model": name, "arm": arm, "seed": seed, **found})
        print(json.dumps(lines[-1]), flush=True)

    bench = Bench(run, name, options, work)
    start = bench.said(bench.before)
    tell("before", None, bench.measured(bench.before, start))
    for seed in options.seed:
        rows, biases, counts = bench.mined(seed)
        for arm, bias in biases.items():
            sizes = {"biased": [len(bias[code]) for code in CODES]}
            tell(arm, seed, bench.measured(Arm(bench.before.model, bias), start) | sizes | counts)
        for arm, (kind, rate, more) in ARMS.items():
            if options.only and arm not in options.only:
                continue
            lr = scaled(RATES[rate], bench.model)
            folder = work / f"{arm}-{seed}".replace(" ", "-")
            metrics = trained(kind, bench.model, rows, folder, seed, lr, more)
            made = Arm(LocalModel(folder, device="cpu"))
            told: dict[str, Any] = {"lr": lr, "steps": metrics["steps"], **counts}
            if kind == "repair":
                told["held_out"] = [metrics[when].get("holdout") for when in ("before", "after")]
            tell(arm, seed, bench.measured(made, start) | told)
            if arm == "repair":
                both = Arm(made.model, biases["logit bias"])
                tell("repair and logit bias", seed, bench.measured(both, start) | told)
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as a Markdown table, the mean over seeds where an arm has several."""
    head = "| model | arm | answers that leak | events/1,000 chars | wrong mass en, ja | bits/char en, ja | exact en, ja |"
    rows = [head, "|---|---|---|---|---|---|---|"]
    for line in lines:
        share = " ".join(f"{100 * value:.1f}" for value in line["answers_with_any"] if value is not None)
        rate = " ".join(f"{value:.2f}" for value in line["events_per_1000"] if value is not None)
        seed = "" if line["seed"] is None else f", seed {line['seed']}"
        pairs = [
            ", ".join(form % line[f"{name}_{code}"] for code in CODES)
            for name, form in (("wrong_mass", "%.2g"), ("bits", "%.2f"), ("exact", "%.3f"))
        ]
        cells = [line["model"], line["arm"] + seed, f"{share} %", rate, *pairs]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> int:
    """Make the runs, mine, repair, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, help="where the runs are made, or found (default: a temporary folder)"
    )
    parser.add_argument(
        "--model", choices=sorted(MODELS), action="append", help="may be repeated; default: all"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("WATARI_TEST_DATA"), help="of real-small")
    parser.add_argument("--seed", type=int, action="append", help="of mining and training; default: 1")
    parser.add_argument("--only", action="append", choices=sorted(ARMS), help="of what is trained")
    parser.add_argument("--prompts", type=int, default=200, help="of each language, to be measured on")
    parser.add_argument("--times", type=int, default=4, help="answers to each")
    parser.add_argument("--mined", type=int, default=300, help="prompts of each language that are mined")
    parser.add_argument("--mined-times", type=int, default=6, help="answers to each")
    parser.add_argument("--mined-temperature", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, and no more")
    options = parser.parse_args()
    options.seed = options.seed or [1]
    scratch = Path(tempfile.mkdtemp())
    lines: list[dict[str, Any]] = []
    try:
        where = options.work or scratch / "runs"
        for name in options.model or (sorted(MODELS) if options.data else ["demo"]):
            run = demo_run(where) if name == "demo" else small_run(where, Path(options.data))
            work = scratch / name
            work.mkdir()
            lines += benched(run, name, options, work)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(table(lines), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
