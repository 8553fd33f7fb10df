"""Every command of docs/evaluation.md, run as it stands there: on real files, with a tiny model and a scripted judge."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import zlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from teachers import Body, last, teacher
from tiny_llama import make_folder
from watari.cli.main import app
from watari.errors import DryRun

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"
SERVER = "http://localhost:8000/v1"


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def said(body: Body) -> str:
    """An answer to whatever is asked, with a rating in every form that a spec reads."""
    number = zlib.crc32(last(body).encode()) % 9 + 1
    return f"理由。[[{number}]] [[評価：{number}]] FINAL SCORE: {number}"


def unpack(source: Path, target: Path) -> None:
    import gzip

    target.write_bytes(gzip.decompress(source.read_bytes()))


@pytest.fixture
def here(tmp_path: Path, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "models" / "mine", max_position_embeddings=4096)
    jaster = test_data / "shisa-llm-jp-eval"
    shutil.copy(jaster / "predictions.jsonl.gz", tmp_path)
    shutil.copy(test_data / "shaberi" / "scores.jsonl.gz", tmp_path)
    judgments = test_data / "mt-bench-judgments"
    shutil.copy(judgments / "shisa-v2-ja" / "scores_4_judges.jsonl.gz", tmp_path)
    unpack(judgments / "stability-ja" / "gpt-4_single.jsonl.gz", tmp_path / "gpt-4_single.jsonl")
    one = {"jnli": [{"prompt": "p", "input": "i", "pred": "neutral", "gold": "neutral"}] * 3}
    (tmp_path / "output_eval.json").write_text(json.dumps(one), "utf-8")
    rows = [{"id": str(n), "text": f"文章{n}。今日は良い天気です。"} for n in range(5)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "train.jsonl").write_text(text, "utf-8")
    return tmp_path


@pytest.mark.slow
def test_every_command_of_the_page_runs(here: Path) -> None:
    with teacher(said) as endpoint:
        for line in lines():
            words = shlex.split(line.replace(SERVER, endpoint.base_url))
            if words[0] == "lm_eval":
                harness(here)
                continue
            assert words[0] == "watari"
            if words[1:3] == ["eval", "run"]:
                # A random model does not stop by itself.
                words += ["--set", "max_tokens=8"] + ([] if "--limit" in words else ["--limit", "1"])
            done = CliRunner().invoke(app, words[1:])
            good = done.exit_code == 0 or isinstance(done.exception, DryRun)
            assert good, f"{line}: {done.output[-2000:]} {done.exception!r}"
            assert done.output.strip() or "--out" in words, line
    assert (here / "evals" / "page" / "index.html").stat().st_size > 50_000
    assert (here / "page-harness" / "index.html").stat().st_size > 50_000
    assert (here / "evals" / "jaster" / "evaluation.json").is_file()


def harness(here: Path) -> None:
    """Stand in for the harness, which tests/evals/harness runs for real: results as it leaves them."""
    out = here / "lm-eval-out" / "models__mine"
    out.mkdir(parents=True)
    stamp = "2026-01-02T03-04-05.678901"
    value = {"exact_match,none": 0.5, "exact_match_stderr,none": 0.5}
    told = {"results": {"watari_jnli": value}, "versions": {"watari_jnli": 1}, "lm_eval_version": "0.4.13"}
    told |= {"config": {"model_args": {"pretrained": "models/mine"}}, "model_name": "models/mine"}
    (out / f"results_{stamp}.json").write_text(json.dumps(told), "utf-8")
    samples = [
        {"doc_id": n, "doc": {}, "target": "x", "arguments": {"gen_args_0": {"arg_0": "p", "arg_1": {}}}}
        | {"resps": [["x"]], "filtered_resps": ["x"], "filter": "none", "metrics": ["exact_match"]}
        | {"exact_match": float(n)}
        for n in range(2)
    ]
    text = "".join(json.dumps(sample) + "\n" for sample in samples)
    (out / f"samples_watari_jnli_{stamp}.jsonl").write_text(text, "utf-8")


def test_the_page_runs_every_evaluation_command() -> None:
    told = "\n".join(lines())
    for command in (
        "specs",
        "score",
        "rating",
        "run",
        "compare",
        "judges",
        "contamination",
        "texts",
        "report",
    ):
        assert f"watari eval {command}" in told
