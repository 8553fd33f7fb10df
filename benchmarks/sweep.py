"""A sweep beside what one would write oneself, and whether its statistics keep what they promise.

- local: a small model in this process, against a loop over transformers' `generate`, one prompt at a time. Greedy answers,
  with and without a repetition penalty, must be the same text.
- endpoint: a scripted server (100 ms) in another process, against a plain aiohttp client at the same concurrency.
- promises: made-up engines with known rates, prompts alike as the plan assumes: how often the planned cell size tells the effect
  apart, how often a 95 % interval holds the truth, how often the recommended cell is on the true Pareto front.

    python benchmarks/sweep.py [--quick] [--repeats N] [--only local|endpoint|promises]

The data of the tests (WATARI_TEST_DATA) holds the model.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sides import arguments, one_thread, tell

HERE = Path(__file__).resolve().parent
PARTS = ("local", "endpoint", "promises")
LATENCY, CONCURRENCY = 0.1, 32
GRID = """\
base: {max_new_tokens: 48}
grid: {temperature: [0.5, 1.0], truncation: [{top_p: 0.95}, {min_p: 0.1}], repetition_penalty: [1, 1.15]}
cells: [{temperature: 0}, {temperature: 0, repetition_penalty: 1.15}]
"""
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
BEGINNINGS = (
    "Once upon a time",
    "The little dog",
    "One day, Lily",
    "Tom and Sam",
    "In the big garden",
    "The sun was",
)
ENDINGS = ("", " was happy and", " saw a big red", " wanted to play with", " said to his mom")


def main() -> None:
    """Measure the parts."""
    one_thread()
    options = arguments(
        __doc__,
        lambda parser: parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated"),
    )
    for part in options.only or PARTS:
        print(f"sweep: {part} ...", file=sys.stderr, flush=True)
        {"local": local, "endpoint": endpoint, "promises": promises}[part](options)


# --- a model in this process


def local(options: Any) -> None:
    """Watari's sweep against a loop over `generate`."""
    count, repeats = (4, 1) if options.quick else (12, 2)
    with tempfile.TemporaryDirectory(prefix="watari-sweep-") as name:
        folder = Path(name)
        model = _chatting(folder / "model")
        prompts = [f"{begins}{ends}" for begins in BEGINNINGS for ends in ENDINGS][:count]
        _write_prompts(folder, prompts)
        walls: dict[str, list[float]] = {"ours": [], "peer": []}
        ours: dict[str, dict[str, str]] = {}
        theirs: dict[str, dict[str, str]] = {}
        for number in range(options.repeats or (1 if options.quick else 2)):
            began = time.process_time()
            rows = _swept(folder, model, f"out-{number}", repeats)
            walls["ours"].append(time.process_time() - began)
            ours = _greedy(rows)
            began = time.process_time()
            theirs = _naive(model, prompts, repeats)
            walls["peer"].append(time.process_time() - began)
        about = f"stories260K, 10 cells, {count} prompts x {repeats}, 48 tokens at most, CPU seconds"
        tell(
            "sweep of a local model: canary, answers on record, leaks, quality, intervals, page",
            statistics.median(walls["ours"]),
            statistics.median(walls["peer"]),
            unit="s",
            peer_packages=("transformers",),
            peer_name="a loop over model.generate, one prompt at a time; answers alone",
            sizes=about,
        )
        wrong = sum(ours[cell][text] != theirs[cell][text] for cell in theirs for text in prompts)
        tell(
            "greedy answers of a sweep that are not those of model.generate",
            wrong,
            0,
            unit="answers",
            peer_packages=("transformers",),
            sizes=f"{len(theirs)} greedy cells (repetition penalty 1 and 1.15) x {count} prompts",
        )


def _chatting(folder: Path) -> Path:
    from watari.model.llama2c import convert

    data = Path(os.environ["WATARI_TEST_DATA"]) / "tinystories-llama"
    convert(data / "stories260K.bin", data / "tok512.bin", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    settings["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return folder


def _write_prompts(folder: Path, prompts: list[str]) -> None:
    rows = [{"id": text, "prompt": text, "expected_lang": "en"} for text in prompts]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "grid.yaml").write_text(GRID, "utf-8")


def _swept(folder: Path, model: Path, out: str, repeats: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq
    from inputs import artifact

    from watari.artifact.kinds import Kind
    from watari.artifact.stage import Silent
    from watari.leakage.sweep.params import Params
    from watari.leakage.sweep.stage import sweep

    params = Params(
        model={"from": "model"},
        prompts=str(folder / "prompts.jsonl"),
        grid=str(folder / "grid.yaml"),
        repeats=repeats,
        ledger=str(folder / f"{out}.sqlite"),
        label="bench",
        device="cpu",
    )
    (folder / out).mkdir()
    sweep(params, artifact("model", model, Kind.MODEL), folder / out, Silent())
    return list(pq.read_table(folder / out / "generations.parquet").to_pylist())


def _greedy(rows: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["cell"].startswith("greedy"):
            found.setdefault(row["cell"], {})[row["item_id"]] = row["response"]
    return found


def _naive(folder: Path, prompts: list[str], repeats: int) -> dict[str, dict[str, str]]:
    """Do what a user would: load, then generate cell by cell, prompt by prompt; return the greedy answers."""
    import torch

    from watari.leakage.sweep.grid import read_grid
    from watari.pretrained import load_model, load_tokenizer

    tokenizer, model = load_tokenizer(folder), load_model(folder, dtype="float32")
    model.eval()
    found: dict[str, dict[str, str]] = {}
    for cell in read_grid(str(folder.parent / "grid.yaml")).cells:
        config = cell.sampler.to_generation_config(
            eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id, pad_token_id=0
        )
        for text in prompts:
            messages = [{"role": "user", "content": text}]
            rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            given = tokenizer(rendered, add_special_tokens=False, return_tensors="pt")
            for repeat in range(1 if cell.greedy else repeats):
                torch.manual_seed(repeat)
                with torch.no_grad():
                    said = model.generate(**given, generation_config=config)
                ids = said[0, given["input_ids"].shape[1] :]
                answer = tokenizer.decode(ids, skip_special_tokens=True)
                if cell.greedy:
                    found.setdefault(cell.name, {})[text] = answer.strip()
    return found


# --- a server


def answer(body: Mapping[str, Any]) -> str:
    """Say what follows from the settings, as an engine that applies them would; some of it leaks."""
    cold = not body.get("temperature", 1) or body.get("min_p") == 1 or body.get("top_p", 1) < 0.001
    drawn = [body["messages"], body.get("repetition_penalty")] + (
        [] if cold else [body.get("temperature"), body.get("top_p"), body.get("min_p"), body.get("seed")]
    )
    number = zlib.crc32(json.dumps(drawn, ensure_ascii=False).encode())
    leak = " 高校生の" if number % 100 < 8 * body.get("temperature", 1) and not cold else ""
    return f"{number:x}: " + "This is a sentence of an answer that goes on for a while. " * 6 + leak


def endpoint(options: Any) -> None:
    """The sweep of a server against a plain client."""
    from endpoint_bench import AIOHTTP, run_client, stats

    from watari.artifact.stage import Silent
    from watari.endpoint.replay import serving
    from watari.leakage.sweep.params import Params
    from watari.leakage.sweep.stage import sweep

    count, repeats = (6, 1) if options.quick else (40, 8)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "src"), str(HERE)])
    server = serving(f"replay://sweep:answer?latency={LATENCY * 1000:.0f}")
    with tempfile.TemporaryDirectory(prefix="watari-sweep-") as name, server as base:
        folder = Path(name)
        _write_prompts(folder, [f"Question {number}?" for number in range(count)])
        ours, peers, digests = [], [], set()
        total = 0
        for number in range(options.repeats or (1 if options.quick else 3)):
            params = Params(
                model={"model": "m", "base_url": base, "limits": {"concurrency": CONCURRENCY}},
                prompts=str(folder / "prompts.jsonl"),
                grid=str(folder / "grid.yaml"),
                repeats=repeats,
                ledger=str(folder / f"{number}.sqlite"),
                label="bench",
            )
            out = folder / f"out-{number}"
            out.mkdir()
            stats(base, again=True)
            began = time.monotonic()
            sweep(params, None, out, Silent())
            ours.append(time.monotonic() - began)
            digests.add((out / "generations.parquet").read_bytes())
            total = int(stats(base)["requests"])
            plain = run_client(AIOHTTP, base, total, CONCURRENCY, limit=300)
            if plain is not None and plain.finished:
                peers.append(plain.seconds)
        about = f"{total:,} requests of {LATENCY * 1000:.0f} ms, {CONCURRENCY} in flight, wall seconds"
        tell(
            "sweep of a server: canary, answers on record, leaks, quality, intervals, page",
            statistics.median(ours),
            statistics.median(peers),
            unit="s",
            peer_packages=("aiohttp",),
            peer_name="plain aiohttp that asks as much and keeps nothing",
            sizes=about,
        )
        limit = total * LATENCY / CONCURRENCY
        tell(
            "the same, as a multiple of all requests x latency / concurrency",
            statistics.median(ours) / limit,
            1.0,
            unit="times",
            peer_name="the limit",
            sizes=about,
        )
        tell(
            "sweeps of one server whose bytes differ",
            len(digests) - 1,
            0,
            unit="sweeps",
            peer_name="none",
            sizes=f"{len(ours)} sweeps",
        )


# --- what the figures promise


def promises(options: Any) -> None:
    """Power of the planned size, coverage of the intervals, truth of the recommendation."""
    rounds = 40 if options.quick else 400
    _power(rounds)
    _coverage(rounds)
    _recommended(max(rounds // 4, 20))


def _leaks(generator: Any, shares: list[float], prompts: int, repeats: int, icc: float, shared: float) -> Any:
    """Return how many of `repeats` answers leak: a row a prompt, a column a setting.

    A prompt's own share in a setting is beta distributed, so that answers to it are alike by `icc`; its quantile is the same in
    all settings with the chance `shared`, which is then (nearly) the correlation of the shares.
    """
    import numpy as np
    from scipy.stats import beta

    whole = 1 / icc - 1
    common = generator.random((prompts, 1))
    own = generator.random((prompts, len(shares)))
    quantiles = np.where(generator.random(own.shape) < np.sqrt(shared), common, own)
    found = np.column_stack(
        [
            beta.ppf(quantiles[:, place], share * whole, (1 - share) * whole)
            for place, share in enumerate(shares)
        ]
    )
    return generator.binomial(repeats, found)


def _power(rounds: int) -> None:
    import numpy as np

    from watari.leakage.sweep.figures import Sums
    from watari.leakage.sweep.front import against
    from watari.leakage.sweep.plan import size_of

    for effect, prompts in (("0.10:0.07", 300), ("0.20:0.10", 60), ("0.05:0.02", 200)):
        size = size_of(prompts, None, effect, 0.2, 0.8)
        for shares, claim in (
            (size.effect, "share of sweeps that tell the planned effect apart with the planned size"),
            (
                (size.effect[0],) * 2 if size.effect else None,
                "share of sweeps that tell two equal cells apart",
            ),
        ):
            assert shares is not None
            generator = np.random.default_rng(zlib.crc32(f"{effect}{claim}".encode()))
            hits = 0
            for number in range(rounds):
                leaks = _leaks(generator, list(shares), prompts, size.repeats, size.icc, size.shared)
                sums = Sums(leaks.astype(float), np.full(leaks.shape, float(size.repeats)))
                hits += against(sums, [0, 1], 0, number)[1].apart
            planned = shares[0] != shares[1]
            tell(
                claim,
                hits / rounds,
                (size.power or 0) if planned else 0.05,
                unit="share",
                peer_name="what is promised",
                sizes=f"{shares[0]:g} and {shares[1]:g}, {prompts} prompts x {size.repeats}, icc 0.2, shared 0.8,"
                f" {rounds} sweeps",
                less_is_better=not planned,
            )


def _coverage(rounds: int) -> None:
    import numpy as np

    from watari.leakage.sweep.figures import BY_NAME, LEAKING, Sums, estimates_of

    for share, prompts, repeats in ((0.1, 200, 5), (0.1, 47, 5), (0.01, 200, 2), (0.1, 20, 5)):
        generator = np.random.default_rng(prompts * 1000 + repeats)
        held = 0
        for number in range(rounds):
            leaks = _leaks(generator, [share], prompts, repeats, 0.2, 0.8)
            sums = Sums(leaks.astype(float), np.full(leaks.shape, float(repeats)))
            (one,) = estimates_of(BY_NAME[LEAKING], sums, np.array([prompts * repeats]), seed=number)
            assert one is not None
            assert one.low is not None
            assert one.high is not None
            held += one.low <= share <= one.high
        tell(
            "share of 95 % intervals of leaking responses that hold the truth",
            held / rounds,
            0.95,
            unit="share",
            peer_name="what is promised",
            sizes=f"{share:g}, {prompts} prompts x {repeats}, icc 0.2, {rounds} sweeps",
            less_is_better=False,
        )


def _recommended(rounds: int) -> None:
    """Six settings: the hotter, the more leaks; a penalty takes leaks and sound answers away."""
    import numpy as np

    from watari.generate.sampler import Sampler
    from watari.leakage.sweep.figures import BY_NAME, LEAKING, SOUND, Figures, Sums, estimates_of
    from watari.leakage.sweep.front import front, front_of
    from watari.leakage.sweep.grid import Cell
    from watari.leakage.sweep.recommendation import recommend

    leaking = [0.02, 0.05, 0.12, 0.01, 0.04, 0.20]
    sound = [0.97, 0.97, 0.96, 0.80, 0.85, 0.95]
    prompts, repeats = 200, 5
    cells = tuple(Cell(f"cell {place}", Sampler()) for place in range(len(leaking)))
    true_front = {cells[place].name for place in np.flatnonzero(front(np.array(leaking), np.array(sound)))}
    generator = np.random.default_rng(8)
    on_front = best = naive = 0
    for number in range(rounds):
        sums = {
            LEAKING: _leaks(generator, leaking, prompts, repeats, 0.2, 0.8),
            SOUND: _leaks(generator, sound, prompts, repeats, 0.2, 0.8),
        }
        known = {
            name: Sums(own.astype(float), np.full(own.shape, float(repeats))) for name, own in sums.items()
        }
        counts = np.full(len(cells), prompts * repeats)
        estimates: dict[str, dict[str, Any]] = {cell.name: {} for cell in cells}
        for name, own in known.items():
            for cell, one in zip(cells, estimates_of(BY_NAME[name], own, counts, seed=number), strict=True):
                estimates[cell.name][name] = one
        figures = Figures(cells, tuple(map(str, range(prompts))), estimates, known)
        chosen = recommend(figures, front_of(figures, seed=number), None, seed=number).cell
        on_front += chosen.name in true_front
        best += chosen.name == "cell 0"
        naive += int(np.argmin(known[LEAKING].values)) == 0
    sizes = f"6 cells, {prompts} prompts x {repeats}, icc 0.2, shared 0.8, {rounds} sweeps"
    tell(
        "share of sweeps whose recommended cell is on the true Pareto front",
        on_front / rounds,
        1.0,
        unit="share",
        peer_name="always",
        sizes=sizes,
        less_is_better=False,
    )
    tell(
        "share of sweeps that recommend the cell that truly leaks least among the good ones",
        best / rounds,
        naive / rounds,
        unit="share",
        peer_name="the cell with the fewest leaks, whatever its answers are worth",
        sizes=sizes,
        less_is_better=False,
    )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
