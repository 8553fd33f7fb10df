"""A judge run of MT-Bench's size, 160 questions x 5 runs x 2 turns: how near to its limit, and what two kill -9 lose.

The judge is a scripted server in another process (200 ms; 5 % 429, 2 % 500, 1 % garbage). The answers are on record before, so
that what is measured is judging: `evaluate` of the stage eval.mtbench, from its call to the last file, with scores and intervals.

- wall: seconds, beside the limit: all attempts x latency / concurrency (issue 7: at most 1.15 times that), and beside
  FastChat's way of judging (threads; 10 seconds of sleep after an error; no record): its loop, over the same prompts.
- two kills on the way: judgments lost, answers on record that were asked again, and whether the bytes are the same.

    python benchmarks/evals_judge.py [--quick] [--repeats N] [--in-flight N]
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from endpoint_bench import AIOHTTP, load, run_client, say, sizes, stats
from sides import arguments, tell

from watari.artifact.manifest import digest_of, list_files
from watari.artifact.stage import Silent
from watari.endpoint.replay import serving

HERE = Path(__file__).resolve().parent
LATENCY = 0.2
FAULTS = "rate_429=0.05&rate_500=0.02&rate_garbage=0.01"
QUIETER = "rate_429=0.05&rate_500=0.02"
"""Garbage ends the plain client."""
CONCURRENCY = 32
BAR = 1.15
SPEC = "nejumi-mt-bench-ja"
FASTCHAT_SLEEP, FASTCHAT_TRIES = 10.0, 16
"""FastChat 0e6d3e4, fastchat/llm_judge/common.py: API_RETRY_SLEEP, API_MAX_RETRY."""


def rate(body: Mapping[str, Any]) -> str:
    """Say what a judge says: a paragraph, then a rating that follows from the prompt."""
    seen = zlib.crc32(body["messages"][-1]["content"].encode())
    reasons = "質問の求めにおおむね応えていますが、説明の足りないところがあります。" * 6
    return f"{reasons}\n評価：[[{seen % 10 + 1}]]"


def answer(body: Mapping[str, Any]) -> str:
    """Say 1.7 KB, others for every seed and conversation."""
    said = json.dumps([body["messages"], body.get("seed")], ensure_ascii=False)
    return f"{zlib.crc32(said.encode()):x}。" + "これは回答の文章です。順を追って説明します。" * 26


@contextmanager
def server(function: str, settings: str) -> Any:
    """Serve one of the two above in a process of its own."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "src"), str(HERE)])
    with serving(f"replay://evals_judge:{function}?{settings}") as base:
        yield base


def questions(folder: Path, count: int) -> Path:
    """Write `count` questions: the bundled ones, again and again under new ids."""
    from watari.evals.mtbench.questions import read_questions

    bundled = read_questions("bundled", "ja").questions
    path = folder / "questions.jsonl"
    lines = []
    for number in range(count):
        one = bundled[number % len(bundled)]
        row = {
            "question_id": number,
            "category": one.category,
            "turns": [f"（第{number}問）{turn}" for turn in one.turns],
        }
        lines.append(row | ({"reference": list(one.reference)} if one.reference else {}))
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def params_of(folder: Path, model: str, judge: str, runs: int, concurrency: int) -> Any:
    """Return the stage's parameters."""
    from watari.evals.mtbench.params import Params

    return Params(
        model={"name": "cand", "model": "cand", "base_url": model},
        judge={
            "name": "judge",
            "model": "judge",
            "base_url": judge,
            "limits": {"concurrency": concurrency},
            "attempts": 12,
        },
        spec=SPEC,
        questions=str(folder / "questions.jsonl"),
        runs=runs,
        ledger=str(folder / "ledger.sqlite"),
        label="bench",
    )


def answer_all(params: Any) -> None:
    """Have all answers on record, and nothing judged."""
    import asyncio

    from watari.endpoint.asking import open_asking
    from watari.evals.mtbench.answering import Answering
    from watari.evals.mtbench.plan import plan_of

    async def work() -> None:
        async with open_asking(params, Silent()) as asking:
            await Answering(plan_of(params), params, asking, None, None).all(Silent())

    asyncio.run(work())


def judging(folder: Path, model: str, judge: str, runs: int, concurrency: int) -> float:
    """Run the stage on a folder and return the seconds it takes."""
    from watari.evals.mtbench.stage import evaluate

    params = params_of(folder, model, judge, runs, concurrency)
    (folder / "out").mkdir(exist_ok=True)
    began = time.monotonic()
    evaluate(params, None, folder / "out", Silent())
    return time.monotonic() - began


def fastchat(prompts: list[list[dict[str, str]]], judge: str, concurrency: int) -> float:
    """Judge as FastChat does (gen_judgment.py --parallel) and return the seconds it takes."""

    def ask(messages: list[dict[str, str]]) -> str:
        body = {"model": "judge", "messages": messages, "temperature": 0, "max_tokens": 2048, "n": 1}
        data = json.dumps(body).encode()
        for _ in range(FASTCHAT_TRIES):
            request = urllib.request.Request(
                f"{judge}/chat/completions", data, {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as said:
                    return str(json.load(said)["choices"][0]["message"]["content"])
            except (urllib.error.URLError, ValueError, KeyError, IndexError, TypeError, OSError):
                time.sleep(FASTCHAT_SLEEP)
        return "$ERROR$"

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        said = list(pool.map(ask, prompts))
    assert len(said) == len(prompts)
    return time.monotonic() - began


def recorded(folder: Path) -> tuple[int, int]:
    """Return how many answers are on record, and how many of them are there twice."""
    with closing(sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
        query = "SELECT count(*), count(DISTINCT key) FROM attempt WHERE status = 'answered'"
        every, distinct = ledger.execute(query).fetchone()
    return int(distinct), int(every) - int(distinct)


def killed(folder: Path, model: str, judge: str, runs: int, concurrency: int, at: int) -> bool:
    """Begin the stage in a process of its own and kill it once `at` answers are on record; False if it was done before."""
    code = f"""import sys; from pathlib import Path; sys.path[:0] = [{str(HERE)!r}]
from evals_judge import judging
judging(Path({str(folder)!r}), {model!r}, {judge!r}, {runs}, {concurrency})"""
    child = subprocess.Popen([sys.executable, "-c", code])
    while child.poll() is None and recorded(folder)[0] < at:
        time.sleep(0.01)
    running = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    return running


def main() -> None:
    """Measure, kill, count."""
    options = arguments(
        __doc__,
        lambda parser: parser.add_argument(
            "--in-flight", type=int, help=f"default: {CONCURRENCY}; quick: 16"
        ),
    )
    count, runs = (16, 2) if options.quick else (160, 5)
    concurrency = options.in_flight or (16 if options.quick else CONCURRENCY)
    total = count * runs * 2
    about = sizes(
        f"{count} questions x {runs} runs x 2 turns, {concurrency} in flight, 5 % 429, 2 % 500, 1 % garbage"
    )
    with tempfile.TemporaryDirectory(prefix="watari-judge-") as name, server("answer", "latency=0") as model:
        base = Path(name) / "base"
        base.mkdir()
        questions(base, count)
        with server("rate", f"latency={LATENCY * 1000:.0f}&{FAULTS}") as judge:
            answer_all(params_of(base, model, judge, runs, concurrency))
            assert recorded(base) == (total, 0)
            digest = _speed(base, Path(name), model, judge, runs, concurrency, total, about, options)
            _kills(base, Path(name) / "killed", model, judge, runs, concurrency, total, about, digest)


def _speed(
    base: Path,
    folder: Path,
    model: str,
    judge: str,
    runs: int,
    concurrency: int,
    total: int,
    about: str,
    options: Any,
) -> str:
    """Tell the wall beside its limit and beside FastChat's way; return the digest."""
    walls, shares, digest = [], [], ""
    for number in range(options.repeats or (1 if options.quick else 3)):
        own = _copy(base, folder / f"speed-{number}")
        stats(judge, again=True)
        wall = judging(own, model, judge, runs, concurrency)
        attempts = int(stats(judge)["requests"])
        limit = attempts * LATENCY / concurrency
        say(f"{wall:.2f} s for {attempts} attempts: {wall / limit:.3f} of the limit {limit:.2f} s; {load()}")
        walls.append(wall)
        shares.append(wall / limit)
        found = digest_of(list_files(own / "out"))
        assert digest in ("", found), "the bytes differ"
        digest = found
    tell(
        "wall of a judge run, as a multiple of all attempts x latency / concurrency",
        statistics.median(shares),
        BAR,
        unit="times",
        peer_name="bar of issue 7",
        sizes=about,
    )
    with server("rate", f"latency={LATENCY * 1000:.0f}&{QUIETER}") as other:
        plain = run_client(AIOHTTP, other, total, concurrency, limit=300)
    if plain is not None and plain.finished:
        say(f"plain aiohttp, as many requests, no garbage: {plain.seconds:.2f} s; {load()}")
        tell(
            "wall of a judge run, with scores and all on record",
            statistics.median(walls),
            plain.seconds,
            unit="s",
            peer_packages=("aiohttp",),
            peer_name="plain aiohttp that retries, keeps and scores nothing, and meets no garbage",
            sizes=about,
        )
    stats(judge, again=True)
    threads = fastchat(_prompts(folder / "speed-0"), judge, concurrency)
    say(f"FastChat's way: {threads:.1f} s")
    tell(
        "wall of a judge run",
        statistics.median(walls),
        threads,
        unit="s",
        peer_name="FastChat's loop (threads, 10 s of sleep after an error, no record)",
        sizes=about,
    )
    return digest


def _kills(
    base: Path,
    folder: Path,
    model: str,
    judge: str,
    runs: int,
    concurrency: int,
    total: int,
    about: str,
    digest: str,
) -> None:
    """Kill it twice, run it to its end, and tell what was lost."""
    own = _copy(base, folder)
    stats(judge, again=True)
    for share in (1 / 3, 2 / 3):
        assert killed(own, model, judge, runs, concurrency, total + round(total * share)), (
            "done before the kill"
        )
        say(f"killed with {recorded(own)[0] - total} judgments on record")
    before, asked = recorded(own)[0], int(stats(judge)["bodies_answered"])
    judging(own, model, judge, runs, concurrency)
    found, twice = recorded(own)
    say(f"{before - total} were on record, {asked} had been answered; then {found - before} were asked")
    lost = 2 * total - found
    same = digest_of(list_files(own / "out")) == digest
    tell("judgments lost to two kill -9", lost, 0, unit="judgments", peer_name="bar of issue 7", sizes=about)
    tell(
        "judgments on record that were asked again after two kill -9",
        twice,
        0,
        unit="judgments",
        peer_name="bar of issue 7",
        sizes=about,
    )
    tell(
        "evaluations whose bytes differ after two kill -9",
        0 if same else 1,
        0,
        unit="evaluations",
        peer_name="bar of issue 7",
        sizes=about,
    )


def _prompts(folder: Path) -> list[list[dict[str, str]]]:
    """Return what the judge was sent, as messages."""
    from watari.evals.folder import read_evaluation
    from watari.evals.mtbench.prompts import own_prompts

    systems = {one.name: one.system for one in own_prompts("ja").prompts.values()}
    return [
        [
            {"role": "system", "content": systems[one.prompt_name]},
            {"role": "user", "content": one.user_prompt},
        ]
        for one in read_evaluation(folder / "out").judgments
    ]


def _copy(base: Path, folder: Path) -> Path:
    """Return a copy of a folder whose ledger holds the answers."""
    shutil.copytree(base, folder)
    return folder


if __name__ == "__main__":
    main()
