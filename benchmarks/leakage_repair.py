"""Repair of a model that leaks: before, a logit bias, plain DPO and `train.repair` on the same mined rows.

The model of a run (the demo's, `real-small`'s) answers prompts of its own chat data at a temperature of 1. Half of the
prompts are mined (`leakage.mine`: the model mends its own leaks), the other half is measured:
- events per 1,000 characters and answers with any, against the model before, paired by prompt;
- probability of wrong-script tokens on the clean answers of the model before;
- bits per character on held-out text and exact match, in both languages.

    python benchmarks/leakage_repair.py --run runs/demo --model dpo [--quick] [--lr 1e-4]

The learning rate of the facts page (5e-6) is that of 8 billion parameters; smaller models want a larger one. Every arm prints
one JSON line.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sides import one_thread

one_thread()

from watari.artifact.draws import draw_uniform  # noqa: E402
from watari.artifact.hashing import hash_json  # noqa: E402
from watari.artifact.kinds import Kind  # noqa: E402
from watari.artifact.manifest import Manifest, digest_of, list_files, read_manifest  # noqa: E402
from watari.artifact.params import Selection  # noqa: E402
from watari.artifact.rows import read_rows, write_rows  # noqa: E402
from watari.artifact.stage import InputArtifact, Inputs, Silent  # noqa: E402
from watari.generate.local import LocalModel  # noqa: E402
from watari.generate.sampler import Sampler  # noqa: E402
from watari.leakage.bias import logit_bias  # noqa: E402
from watari.leakage.comparison import compare  # noqa: E402
from watari.leakage.mass import Response, script_mass  # noqa: E402
from watari.leakage.mining import mine  # noqa: E402
from watari.leakage.redecoding import Redecoder  # noqa: E402
from watari.leakage.rows import Row  # noqa: E402
from watari.leakage.scan import Scanned, scan_row  # noqa: E402
from watari.leakage.tally import tally_of  # noqa: E402

Messages = list[dict[str, str]]


def stage(run: Path, name: str) -> InputArtifact:
    """Return what a stage of the run has made."""
    folder = (run / "stages" / name).resolve()
    return InputArtifact(name, folder, read_manifest(folder), Selection.model_validate({"from": name}))


def made(name: str, folder: Path, kind: Kind) -> InputArtifact:
    """Return a folder as an artifact."""
    files = list_files(folder)
    manifest = Manifest(
        kind=kind,
        uses="benchmark",
        stage_version=1,
        key="0" * 32,
        digest=digest_of(files),
        parameters={},
        files=files,
        started="",
        finished="",
        seconds=0,
    )
    return InputArtifact(name, folder, manifest, Selection.model_validate({"from": name}))


def asked(run: Path, sources: Sequence[str], limit: int) -> list[tuple[str, Messages]]:
    """Return up to `limit` different prompts of each source, each with its language."""
    found: dict[str, tuple[str, Messages]] = {}
    for name in sources:
        mine_only: dict[str, tuple[str, Messages]] = {}
        for row in read_rows(stage(run, name).path):
            first = next(at for at, one in enumerate(row["messages"]) if one["role"] == "assistant")
            messages = [dict(one) for one in row["messages"][:first]]
            mine_only.setdefault(hash_json(messages), (row["language"], messages))
            if len(mine_only) >= limit:
                break
        found |= mine_only
    return list(found.values())


def answers(
    model: LocalModel,
    prompts: Sequence[tuple[str, Messages]],
    times: int,
    seed: int,
    bias: Mapping[str, Mapping[int, float]] | None = None,
) -> list[Scanned]:
    """Return the model's answers at a temperature of 1, scanned; the same draws whatever the model."""
    scanned = []
    sampler = Sampler(temperature=1.0, max_new_tokens=64)
    for language in sorted({language for language, _ in prompts}):
        own = [(place, one) for place, one in enumerate(prompts) if one[0] == language for _ in range(times)]
        said = model.generate(
            [messages for _, (_, messages) in own],
            sampler,
            seed=seed,
            ids=[f"{place} {number}" for number, (place, _) in enumerate(own)],
            logit_bias=(bias or {}).get(language),
        )
        for (place, (_, messages)), one in zip(own, said, strict=True):
            row = Row(f"{language}{len(scanned)}", str(place), tuple(messages), one.text, expected=language)
            scanned.append(scan_row(row))
    return scanned


def trained(
    kind: str, model: InputArtifact, rows: InputArtifact, run: Path, out: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Train one arm with the held-out texts of the run measured, and return its metrics."""
    from watari.train import dpo, repair

    module: Any = {"repair": repair, "dpo": dpo}[kind]
    held = [stage(run, name) for name in ("english_heldout", "japanese_heldout")]
    out.mkdir()
    params = module.Params(
        model="m",
        data="rows",
        evaluate=[one.name for one in held],
        sequence=256,
        epochs=options.epochs,
        lr=options.lr,
        batch=16,
        threads=1,
        precision="fp32",
    )
    given = Inputs({"model": [model], "data": [rows], "evaluate": held})
    metrics: dict[str, Any] = module.run(params, given, out, Silent()).metrics
    return metrics


def exact(run: Path, folder: Path, out: Path) -> dict[str, float]:
    """Return the share of questions of the run that are answered exactly, by language."""
    from watari.evals import exact as module

    out.mkdir()
    questions = [stage(run, name) for name in ("english_questions", "japanese_questions")]
    params = module.Params(model="m", questions=[one.name for one in questions], device="cpu")
    inputs = Inputs({"model": [made("m", folder, Kind.MODEL)], "questions": questions})
    metrics = module.run(params, inputs, out, Silent()).metrics
    return {language: metrics[language]["all"]["value"] for language in ("en", "ja")}


def main() -> int:
    """Mine, repair, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--model", default="dpo")
    parser.add_argument("--prompts", type=int, default=400, help="of each language")
    parser.add_argument("--times", type=int, default=4, help="answers to each")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--mined-times", type=int, default=12, help="answers to each prompt that is mined")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    run: Path = options.run
    limit, times = (60, 2) if options.quick else (options.prompts, options.times)
    prompts = asked(run, ("english_chat", "japanese_chat"), limit)
    half = [draw_uniform(0, "leakage_repair", hash_json(messages)) < 0.5 for _, messages in prompts]
    given = [one for one, mined in zip(prompts, half, strict=True) if mined]
    kept = [one for one, mined in zip(prompts, half, strict=True) if not mined]
    model = stage(run, options.model)
    local = LocalModel(model.path, device="cpu")
    work = Path(tempfile.mkdtemp())
    try:
        first = answers(local, given, 2 if options.quick else options.mined_times, 1)
        mined = list(mine(first, Redecoder(local)))
        rows = {one.row["id"]: one.row for one in mined if one.row is not None}
        write_rows(work / "rows" / "rows.parquet", Kind.PREFERENCES, rows.values())
        data = made("rows", work / "rows", Kind.PREFERENCES)
        before = answers(local, kept, times, 2)

        def mass(of: LocalModel, language: str, said: Sequence[Scanned] = before) -> Any:
            clean = [one for one in said if one.judged and not one.events]
            texts = [
                Response(one.row.id, one.row.messages, one.row.response)
                for one in clean
                if one.expected == language
            ]
            return script_mass(of, texts[:200], language, added_from=vocabulary, most=300)

        vocabulary = int(stage(run, "grafted").manifest.metrics["vocabulary_before"])
        bias = {
            code: logit_bias(mass(local, code, first), added_only=False).for_local() for code in ("en", "ja")
        }
        arms: dict[str, tuple[LocalModel, Any, Path | None, Any]] = {
            "before": (local, None, model.path, None),
            "logit bias": (local, bias, None, None),
        }
        for kind in ("dpo", "repair"):
            metrics = trained(kind, model, data, run, work / kind, options)
            arms[kind] = (LocalModel(work / kind, device="cpu"), None, work / kind, metrics)
        start = [tally_of(one) for one in before if one.judged]
        for name, (arm, own_bias, folder, metrics) in arms.items():
            found = [tally_of(one) for one in answers(arm, kept, times, 2, own_bias) if one.judged]
            pair = compare(found, start, by=[], rounds=500 if options.quick else 2000).whole
            bits = (metrics or {}).get("bits_per_character", {})
            line = {
                "arm": name,
                "events_per_1000": round(pair.rate.a, 4),
                "answers_with_any": round(pair.share.a, 4),
                "against_before": [
                    round(value, 4) for value in (pair.share.value, pair.share.low or 0, pair.share.high or 0)
                ],
                "p": pair.share.p_permutation,
                "answers": len(found),
                "wrong_script_mass": None
                if own_bias
                else {code: round(mass(arm, code).mass, 6) for code in ("en", "ja")},
                "bits_per_character": {code: [one["first"], one["last"]] for code, one in bits.items()},
                "exact": exact(run, folder, work / f"exact-{name}") if folder else None,
                "p_bad": [metrics[when]["holdout"]["p_bad"] for when in ("before", "after")]
                if name == "repair" and "holdout" in metrics["before"]
                else None,
                "rows": len(rows),
                "unmended": sum(one.row is None for one in mined),
                "lr": options.lr,
            }
            print(json.dumps(line), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
