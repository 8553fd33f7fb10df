"""A made-up run of about twenty stages, in the forms that the real stages write, for looking at and testing the report.

As a script it writes a report to look at: `python tests/report/fake_run.py FOLDER [--matrix]`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.artifact.hashing import hash_json
from watari.artifact.kinds import Kind
from watari.artifact.manifest import InputEntry, Manifest, digest_of, list_files, write_manifest
from watari.artifact.params import Selection
from watari.artifact.rows import write_rows
from watari.artifact.stage import InputArtifact
from watari.stats.intervals import wilson

TIME = "2025-01-01T00:00:00.000+00:00"


@dataclass
class FakeRun:
    """Builds artifacts below `root`, in the order in which they are asked for."""

    root: Path
    artifacts: dict[str, InputArtifact] = field(default_factory=dict)

    def stage(
        self,
        name: str,
        uses: str,
        kind: Kind,
        *,
        inputs: Mapping[str, Iterable[str]] | None = None,
        parameters: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        rows: list[dict[str, Any]] | None = None,
        outside: dict[str, str] | None = None,
        performance: dict[str, Any] | None = None,
        time: str = TIME,
    ) -> InputArtifact:
        """Make one finished artifact and remember it under `name`."""
        parameters = {"seed": 1} | (parameters or {})
        entries = [
            InputEntry(parameter=parameter, name=source, kind=made.kind, key=made.key, digest=made.digest)
            for parameter, sources in (inputs or {}).items()
            for source in sources
            for made in [self.artifacts[source].manifest]
        ]
        key = hash_json([name, uses, parameters, [entry.digest for entry in entries]])
        path = self.root / kind.value / key
        path.mkdir(parents=True)
        for file, text in (files or {}).items():
            atomic.write_text(path / file, text)
        if rows is not None:
            write_rows(path / "rows.parquet", kind, rows)
        entries_of_files = list_files(path)
        manifest = Manifest(
            kind=kind,
            uses=uses,
            stage_version=1,
            key=key,
            digest=digest_of(entries_of_files),
            parameters=parameters,
            runtime={"device": "cpu"},
            inputs=entries,
            outside=outside or {},
            files=entries_of_files,
            metrics=metrics or {},
            performance=performance or {"tokens_per_second": 12345.678, "peak_rss": 987654321},
            versions={"torch": "2.13.0"},
            seed=1,
            started=time,
            finished=time,
            seconds=3.21,
        )
        write_manifest(path, manifest)
        artifact = InputArtifact(name, path, manifest, Selection.model_validate({"from": name}))
        self.artifacts[name] = artifact
        return artifact

    def all(self) -> list[InputArtifact]:
        """Every artifact, in order."""
        return list(self.artifacts.values())


def log_lines(
    steps: int,
    start: float,
    end: float,
    *,
    lr: float,
    tokens: int,
    dpo: bool = False,
    spikes: Mapping[int, float | None] | None = None,
) -> str:
    """Return a train_log.jsonl whose loss falls from `start` towards `end` with a wobble.

    Args:
        steps, start, end, lr, tokens: Its length, its losses, the highest rate, tokens of a step.
        dpo: With the figures of preference training.
        spikes: The loss of steps that went wrong; one without a number was left out.
    """
    lines = []
    for step in range(1, steps + 1):
        done = step / steps
        wobble = 0.06 * (start - end) * math.sin(step * 12.9898) * math.cos(step * 3.1)
        row: dict[str, Any] = {
            "step": step,
            "loss": round(end + (start - end) * math.exp(-4.5 * done) + wobble, 6),
            "lr": lr * min(1.0, done * 12) * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done))),
            "grad_norm": round(1.2 - 0.6 * done, 4),
            "tokens": tokens * step,
        }
        if dpo:
            row |= {"margin": round(1.9 * (1 - math.exp(-3 * done)) + wobble, 5)}
            row |= {"accuracy": round(min(1.0, 0.5 + 0.45 * (1 - math.exp(-4 * done)) + wobble / 2), 5)}
            row |= {"chosen_reward": round(-0.8 * done, 5)}
            row |= {"rejected_reward": round(-0.8 * done - row["margin"], 5)}
            row |= {"kl_chosen": round(-0.05 * done, 5), "kl_rejected": round(-0.2 * done, 5)}
            row |= {"length_gap": round(3 + 9 * done + wobble, 4), "length_slope": 0.01}
            row |= {"leaking_reward": round(-0.5 * done, 5), "clean_reward": round(0.4 * done, 5)}
        if spikes and step in spikes:
            row |= {"loss": spikes[step], "spike": "loss"} | (
                {"skipped": True} if spikes[step] is None else {}
            )
        lines.append(json.dumps(row))
    return "\n".join(lines) + "\n"


def watched(steps: int, tokens: int, curves: Mapping[str, tuple[float, float]], *, times: int = 10) -> str:
    """Return an eval_log.jsonl in which each language goes from its first to its second figure."""
    lines = []
    for place in range(times + 1):
        step = round(steps * place / times)
        for language, (first, last) in curves.items():
            bits = last + (first - last) * math.exp(-5 * place / times) * (1 - place / times)
            lines.append(
                {
                    "step": step,
                    "tokens": step * tokens,
                    "language": language,
                    "bits_per_character": float(f"{bits:.6g}"),
                    "characters": {"ja": 40_000, "en": 90_000}[language],
                    "documents": 60,
                }
            )
    return "".join(json.dumps(line) + "\n" for line in lines)


def held_pairs(steps: int) -> str:
    """Return a holdout_log.jsonl: held-back pairs, measured four times."""
    lines = []
    for place in range(1, 5):
        done = place / 4
        found = {"step": round(steps * done), "pairs": 150, "length_correlation": None}
        lines.append(found | {"reward_accuracy": 0.5 + 0.42 * done, "margin": 1.6 * done})
    return "".join(json.dumps(line) + "\n" for line in lines)


def forgetting(curves: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """Return what a stage says of its held-back text in its metrics."""
    return {
        language: {
            "first": first,
            "last": last,
            "best": min(first, last),
            "change": round(last / first - 1, 6),
        }
        for language, (first, last) in curves.items()
    }


def preflight(
    unit: str,
    *,
    share: float,
    dropped: Mapping[str, int],
    warnings: Iterable[str] = (),
    new_rows: bool = False,
) -> str:
    """Return a preflight.json."""
    norms = {"rows": 4096, "mean": 0.9, "least": 0.4, "p5": 0.6, "p50": 0.91, "p95": 1.2, "greatest": 1.4}
    report = {
        "format": 1,
        "data": {
            "unit": unit,
            "rows_in": 6000,
            "rows_kept": 6000 - sum(dropped.values()),
            "dropped": dict(dropped),
            "sequences": 5990,
            "tokens": 1_000_000,
            "trained_tokens": round(1_000_000 * share),
            "trained_share": share,
            "longest": 498,
            "percentiles": {"5": 20, "25": 60, "50": 110, "75": 190, "95": 350, "99": 480},
            "packing": {"rows": 900, "positions": 1_010_000, "waste": 0.00990099},
        },
        "marks": {
            "sequences": 5990,
            "bos": "<s>",
            "bos_wanted": True,
            "bos_missing": 0,
            "bos_doubled": 0,
            "bos_inside": 0,
            "first_bad": None,
            "eos": "</s>",
            "end_trained": 5981,
            "eos_trained": 5981,
        },
        "new_rows": [
            {"table": "embedding", "old": norms, "new": norms | {"p50": 0.87}, "outside": 3, "zero": 0}
        ]
        if new_rows
        else [],
        "plan": {"steps": 120, "tokens": 480_000, "batch": 64},
        "trial": {"step": 7, "sequences": 3, "tokens": 1400, "loss": 2.41, "expected": 10.4941},
        "warnings": list(warnings),
    }
    return json.dumps(report, indent=1)


def agreement(reward: float, likelihood: float, margin: float, loss: float) -> dict[str, Any]:
    """Return what a DPO stage says of its pairs."""
    said = {"reward_accuracy": reward, "likelihood_accuracy": likelihood, "margin": margin, "loss": loss}
    return {"train": {"pairs": 1350} | said, "holdout": {"pairs": 150} | said}


def score(metric: str, group: str, value: float, n: int, *, invalid: int = 0) -> dict[str, Any]:
    """Return a row of a scores artifact with an interval that suits its metric."""
    if metric == "exact_match":
        found = wilson(round(value * n), n)
        value, low, high = found.value, found.low, found.high
    else:
        low, high = value * 0.97, value * 1.03
    return {
        "metric": metric,
        "group": group,
        "value": value,
        "n": n,
        "invalid": invalid,
        "stderr": None,
        "ci_low": low,
        "ci_high": high,
        "spec": "exact/1",
        "judge": None,
        "runs": 1,
    }


QUESTIONS = (
    ("ja", "ja/copy", "みどり町のりんごは何色ですか。", "赤です。"),
    (
        "ja",
        "ja/count",
        "ハルさんは本を三冊、ケンさんは本を二冊持っています。二人で何冊持っていますか。",
        "五冊です。",
    ),
    ("ja", "ja/place", "青い猫はどこにいますか。", "図書館にいます。"),
    ("ja", "ja/count", "公園に鳥が四羽います。二羽飛んでいきました。鳥は何羽残りましたか。", "二羽です。"),
    ("en", "en/copy", "What colour is the apple of Green Town?", "It is red."),
    ("en", "en/count", "Haru has three books and Ken has two. How many do they have?", "They have five."),
    ("en", "en/place", "Where is the blue cat?", "It is in the library."),
)


def samples(skill: Mapping[str, int], extra: Iterable[dict[str, Any]] = ()) -> str:
    """Return a samples.jsonl in which the first `skill[language]` questions are answered right."""
    lines = []
    seen: dict[str, int] = {}
    for language, group, question, answer in QUESTIONS:
        place = seen.get(language, 0)
        seen[language] = place + 1
        right = place < skill.get(language, 0)
        given = answer if right else ("the the of apple apple" if language == "ja" else "It is the.")
        lines.append(
            {
                "id": hash_json([question]),
                "messages": [{"role": "user", "content": question}],
                "response": given,
                "answers": [answer],
                "right": right,
                "finish_reason": "stop",
                "language": language,
                "group": group.partition("/")[2],
            }
        )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, *extra])


def _data(run: FakeRun) -> None:
    dropped = {
        "rows_in": 5210,
        "kept": 5000,
        "dropped": 210,
        "dropped_by_reason": {"duplicate": 180, "too short": 30},
    }
    for language, text in (
        ("en", "A red apple is on the table in Green Town."),
        ("ja", "みどり町の机の上に、赤いりんごが一つあります。"),
    ):
        run.stage(
            f"text_{language}",
            "corpus.build",
            Kind.DOCUMENTS,
            parameters={
                "sources": [{"path": {"outside": "ab12"}, "language": language}],
                "min_characters": 20,
            },
            metrics=dropped
            | {
                "written": 5000,
                "languages": {language: {"documents": 5000, "characters": 612345, "bytes": 1834567}},
            },
            outside={"/home/someone/secret/place/text.jsonl": "00ff"},
            rows=[
                {
                    "id": f"{language}{place}",
                    "text": f"{text} ({place})",
                    "language": language,
                    "source": "world",
                }
                for place in range(40)
            ],
        )
    run.stage(
        "held_back",
        "corpus.build",
        Kind.DOCUMENTS,
        metrics={
            "rows_in": 400,
            "kept": 400,
            "dropped": 0,
            "dropped_by_reason": {},
            "languages": {
                lang: {"documents": 200, "characters": 24000, "bytes": 50000} for lang in ("en", "ja")
            },
        },
    )
    run.stage(
        "questions",
        "data.import",
        Kind.CONVERSATIONS,
        metrics={
            "rows_in": 800,
            "kept": 800,
            "dropped": 0,
            "dropped_by_reason": {},
            "languages": {"en": 400, "ja": 400},
        },
        rows=[_conversation(place) for place in range(12)],
    )
    run.stage(
        "instructions",
        "data.import",
        Kind.CONVERSATIONS,
        metrics={
            "rows_in": 6010,
            "kept": 6000,
            "dropped": 10,
            "dropped_by_reason": {"empty answer": 10},
            "languages": {"en": 3000, "ja": 3000},
        },
        rows=[_conversation(place) for place in range(12)],
    )
    run.stage(
        "pairs",
        "data.import",
        Kind.PREFERENCES,
        metrics={
            "rows_in": 1500,
            "kept": 1500,
            "dropped": 0,
            "dropped_by_reason": {},
            "languages": {"en": 750, "ja": 750},
        },
        rows=[
            {
                "id": str(place),
                "prompt": [{"role": "user", "content": QUESTIONS[place % 7][2]}],
                "chosen": QUESTIONS[place % 7][3],
                "rejected": "わかりません。" if QUESTIONS[place % 7][0] == "ja" else "I do not know.",
                "language": QUESTIONS[place % 7][0],
            }
            for place in range(14)
        ],
    )


def _conversation(place: int) -> dict[str, Any]:
    language, _, question, answer = QUESTIONS[place % 7]
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": str(place), "language": language, "messages": turns}


def _config(vocabulary: int) -> dict[str, str]:
    config = {
        "vocab_size": vocabulary,
        "num_hidden_layers": 4,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
    }
    return {"config.json": json.dumps(config), "model.safetensors": "w" * 70000}


def _perplexity(run: FakeRun, name: str, model: str, ja: float, en: float) -> None:
    rows = [score("bits_per_character", lang, value, 200) for lang, value in (("en", en), ("ja", ja))]
    rows += [score("perplexity", lang, 2 ** (value * 3), 200) for lang, value in (("en", en), ("ja", ja))]
    run.stage(
        name, "eval.perplexity", Kind.SCORES, inputs={"model": [model], "documents": ["held_back"]}, rows=rows
    )


def _exact(
    run: FakeRun, name: str, model: str, ja: float, en: float, extra: Iterable[dict[str, Any]] = ()
) -> None:
    rows = []
    for lang, value in (("en", en), ("ja", ja)):
        rows.append(score("exact_match", lang, value, 200, invalid=3 if value < 0.3 else 0))
        for place, task in enumerate(("copy", "count", "place")):
            rows.append(score("exact_match", f"{lang}/{task}", max(0.0, value - 0.05 * place), 66))
    right = {"ja": round(4 * ja), "en": round(3 * en)}
    run.stage(
        name,
        "eval.exact",
        Kind.SCORES,
        inputs={"model": [model], "questions": ["questions"]},
        parameters={
            "style": "completion" if model == "base" else "chat",
            "few_shot": 2 if model == "base" else 0,
        },
        rows=rows,
        files={"samples.jsonl": samples(right, extra)},
    )


def full_run(
    root: Path, *, matrix: bool = False, extra: Iterable[dict[str, Any]] = (), watch: bool = True
) -> list[InputArtifact]:
    """Return a whole run: base, tokenizer, graft, pre-training, SFT twice, DPO, and their evaluations.

    Args:
        root: Where it goes.
        matrix: Three variants of the vocabulary.
        extra: More samples.
        watch: With spikes, preflights and bits per character during training; stages once wrote none of them.
    """
    run = FakeRun(root)
    _data(run)
    run.stage("empty", "model.init", Kind.MODEL, metrics={"parameters": 11_400_000}, files=_config(32000))
    run.stage(
        "packed_en",
        "tokens.pack",
        Kind.TOKENS,
        inputs={"documents": ["text_en"], "tokenizer": ["empty"]},
        metrics={"documents": 5000, "tokens": 160123},
    )
    run.stage(
        "base",
        "train.pretrain",
        Kind.MODEL,
        inputs={"model": ["empty"], "data": ["packed_en"]},
        parameters={"lr": 1e-3, "batch": 64},
        metrics={
            "steps": 400,
            "tokens": 3_276_800,
            "first_loss": 9.9,
            "last_loss": 1.62,
            "parameters": 11_400_000,
        },
        files=_config(32000) | {"train_log.jsonl": log_lines(400, 10.3, 1.6, lr=1e-3, tokens=8192)},
    )
    _perplexity(run, "bits_base", "base", 6.31, 0.92)
    _exact(run, "exact_base", "base", 0.0, 0.41)
    variants = ["@vocabulary=none", "@vocabulary=4k", "@vocabulary=8k"] if matrix else [""]
    for place, variant in enumerate(variants):
        _branch(run, variant, place, extra, watch=watch)
    return run.all()


def _branch(run: FakeRun, variant: str, place: int, extra: Iterable[dict[str, Any]], *, watch: bool) -> None:
    vocabulary = (36096, 36096, 40192)[place]
    gain = 0.04 * place
    # Each stage begins where the one before it ended.
    bits = {
        "pretrained": {"ja": (5.12 - gain, 1.48 - gain), "en": (0.93, 0.952)},
        "sft": {"ja": (1.48 - gain, 1.53 - gain), "en": (0.952, 0.99 + gain / 4)},
        "sft_ja": {"ja": (1.53 - gain, 1.52 - gain), "en": (0.99 + gain / 4, 1.012 + gain / 4)},
        "dpo": {"ja": (1.52 - gain, 1.61 - gain), "en": (1.012 + gain / 4, 1.04 + gain / 4)},
    }

    def metrics(stage: str, spikes: int = 0, skipped: int = 0) -> dict[str, Any]:
        """Return the metrics that a stage has of what it watched."""
        if not watch:
            return {}
        return {
            "spikes": spikes,
            "skipped_steps": skipped,
            "bits_per_character": forgetting(bits[stage]),
        }

    def files(stage: str, steps: int, tokens: int, report: str, times: int = 10) -> dict[str, str]:
        """Return the files that a stage wrote of it."""
        if not watch:
            return {}
        return {
            "eval_log.jsonl": watched(steps, tokens, bits[stage], times=times),
            "preflight.json": report,
        }

    run.stage(
        f"tokenizer{variant}",
        "tokenizer.extend",
        Kind.TOKENIZER,
        inputs={"base": ["base"], "text": ["text_ja", "text_en"]},
        parameters={"add": vocabulary - 32000, "align": 64, "language": "ja"},
        metrics={
            "vocabulary_before": 32000,
            "vocabulary": vocabulary,
            "requested": vocabulary - 32000,
            "added": vocabulary - 32000,
            "characters_per_token": {
                part: {
                    "before": 1.3,
                    "after": 2.6,
                    "by_language": {
                        "en": {"before": 4.1034, "after": 4.1034},
                        "ja": {"before": 0.8712, "after": 2.1426 + gain},
                    },
                }
                for part in ("train", "held_out")
            },
        },
    )
    run.stage(
        f"grafted{variant}",
        "model.graft",
        Kind.MODEL,
        inputs={"base": ["base"], "tokenizer": [f"tokenizer{variant}"], "text": ["text_ja"]},
        parameters={"init": "count-bias"},
        metrics={"parameters": 13_500_000, "rows_added": vocabulary - 32000},
        files=_config(vocabulary),
    )
    run.stage(
        f"packed_ja{variant}",
        "tokens.pack",
        Kind.TOKENS,
        inputs={"documents": ["text_ja", "text_en"], "tokenizer": [f"tokenizer{variant}"]},
        metrics={
            "documents": 10000,
            "tokens": 420987,
            "languages": {
                "en": {"documents": 5000, "tokens": 160000, "characters": 612345},
                "ja": {"documents": 5000, "tokens": 260987, "characters": 612345},
            },
        },
    )
    run.stage(
        f"pretrained{variant}",
        "train.pretrain",
        Kind.MODEL,
        inputs={"model": [f"grafted{variant}"], "data": [f"packed_ja{variant}"]},
        parameters={"lr": 5e-4, "batch": 64},
        metrics={
            "steps": 600,
            "tokens": 4_915_200,
            "first_loss": 9.9,
            "last_loss": 1.91,
            "parameters": 13_500_000,
        }
        | metrics("pretrained", 3, 1),
        files=_config(vocabulary)
        | {
            "train_log.jsonl": log_lines(
                600,
                7.9 - gain,
                1.9 - gain,
                lr=5e-4,
                tokens=8192,
                spikes={210: 6.2, 330: None, 471: 88.0} if watch else None,
            )
        }
        | files("pretrained", 600, 8192, preflight("documents", share=1.0, dropped={}, new_rows=True)),
    )
    run.stage(
        f"sft{variant}",
        "train.sft",
        Kind.MODEL,
        inputs={"model": [f"pretrained{variant}"], "data": ["instructions"]},
        parameters={"lr": 2e-4, "neftune_alpha": 5},
        metrics={
            "steps": 120,
            "tokens": 480_000,
            "rows_in": 6000,
            "kept": 5990,
            "dropped": 10,
            "dropped_by_reason": {"too long": 10},
            "conversations": 5990,
            "first_loss": 9.9,
            "last_loss": 0.21,
        }
        | metrics("sft"),
        files=_config(vocabulary)
        | {"train_log.jsonl": log_lines(120, 2.4, 0.2, lr=2e-4, tokens=4000)}
        | files(
            "sft",
            120,
            4000,
            preflight(
                "conversations",
                share=0.0487,
                dropped={"too long": 10},
                warnings=["in 9 of 5,990 sequences the end of the reply is not trained"],
            ),
            4,
        ),
    )
    run.stage(
        f"sft_ja{variant}",
        "train.sft",
        Kind.MODEL,
        inputs={"model": [f"sft{variant}"], "data": ["instructions"]},
        parameters={"lr": 1e-4, "neftune_alpha": 5},
        metrics={"steps": 60, "tokens": 240_000, "conversations": 3000, "first_loss": 9.9, "last_loss": 0.12}
        | metrics("sft_ja"),
        files=_config(vocabulary)
        | {"train_log.jsonl": log_lines(60, 0.4, 0.11, lr=1e-4, tokens=4000)}
        | files("sft_ja", 60, 4000, preflight("conversations", share=0.05, dropped={}), 3),
    )
    run.stage(
        f"dpo{variant}",
        "train.dpo",
        Kind.MODEL,
        inputs={"model": [f"sft_ja{variant}"], "data": ["pairs"]},
        parameters={"lr": 5e-6, "beta": 0.1},
        metrics={
            "steps": 80,
            "tokens": 120_000,
            "pairs": 1350,
            "first_loss": 9.9,
            "last_loss": 0.31,
            "before": agreement(0.5, 0.44, 0.0, 0.693),
            "after": agreement(0.92, 0.81, 1.71, 0.31),
        }
        | metrics("dpo", 1, 0),
        files=_config(vocabulary)
        | {
            "train_log.jsonl": log_lines(
                80, 0.69, 0.3, lr=5e-6, tokens=1500, dpo=True, spikes={44: 1.4} if watch else None
            )
        }
        | files("dpo", 80, 1500, preflight("pairs", share=0.2, dropped={}), 3)
        | ({"holdout_log.jsonl": held_pairs(80)} if watch else {}),
    )
    _perplexity(run, f"bits_grafted{variant}", f"grafted{variant}", 5.12 - gain, 0.93)
    _perplexity(run, f"bits_pretrained{variant}", f"pretrained{variant}", 1.48 - gain, 0.95)
    _perplexity(run, f"bits_dpo{variant}", f"dpo{variant}", 1.61 - gain, 1.04)
    _exact(run, f"exact_sft{variant}", f"sft_ja{variant}", 0.78 + gain, 0.83)
    _exact(run, f"exact_dpo{variant}", f"dpo{variant}", 0.86 + gain, 0.85, extra)


def main(folder: Path, *, matrix: bool) -> None:
    """Write a report, plain and with times, into `folder`."""
    from watari.report.page import build, with_run_times

    artifacts = full_run(folder / "store", matrix=matrix)
    page = build(artifacts, title="")
    record = {
        "stages": [
            {
                "name": artifact.name,
                "seconds": None if place < 3 else round(2.5 * (place % 7) ** 2.1 + 0.4, 2),
                "performance": artifact.manifest.performance
                if artifact.name.startswith(("base", "pre", "sft", "dpo"))
                else {},
                "state": "cached" if place < 3 else "done",
            }
            for place, artifact in enumerate(artifacts)
        ],
        "started": TIME,
        "finished": TIME,
        "watari": "0.1.0",
    }
    (folder / "report.html").write_text(page.html, "utf-8")
    (folder / "report.json").write_text(page.json, "utf-8")
    (folder / "timed.html").write_text(with_run_times(page.html, record), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), matrix="--matrix" in sys.argv)
