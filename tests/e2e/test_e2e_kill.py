"""kill -9 at random moments of a small recipe of real stages; the artifacts end as those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from e2e_command import Command

RECIPE = """
name: small
language: ja
seed: 3
endpoints:
  teacher: {base_url: "replay://demo-teacher?latency=5&rate_429=0.02&rate_500=0.02&seed=3", model: demo-teacher}
  strong: {base_url: "replay://demo-teacher?latency=5&seed=3", model: demo-teacher-strong}
datasets:
  english_chat: {path: "demo://conversations?language=en&level=easy&count=150"}
  english: {path: "demo://documents?language=en&level=easy&count=120"}
  japanese: {path: "demo://documents?language=ja&level=easy&count=120"}
  chat: {path: "demo://conversations?language=ja&level=easy&count=160"}
  pairs: {path: "demo://preferences?language=ja&level=easy&count=40"}
  questions: {path: "demo://questions?language=ja&level=easy&count=20"}
defaults:
  train.*: {sequence: 64, pass_tokens: 512, batch: 8, threads: 1, lr: 1e-3, checkpoint_steps: 4}
stages:
  blank:
    {uses: model.init, tokenizer: "package://mistral-v1", hidden: 16, layers: 1, heads: 2, context: 512, tie_embeddings: true}
  english_tokens: {uses: tokens.pack, documents: english, tokenizer: blank}
  base: {uses: train.pretrain, model: blank, data: english_tokens, tokens: 8k}
  corpus: {uses: corpus.build, sources: [japanese]}
  tokenizer: {uses: tokenizer.extend, base: base, text: corpus, add: 64}
  grafted: {uses: model.graft, base: base, tokenizer: tokenizer}
  translated: {uses: synth.translate, data: english_chat, teachers: [teacher, strong]}
  sft: {uses: train.sft, model: grafted, data: [chat, translated], template: shisa, epochs: 1, sequence: 256, neftune_alpha: 1}
  taught: {uses: synth.pairs, prompts: {from: translated, limit: 20}, chosen: strong, rejected: sft, rejected_checks: any}
  dpo: {uses: train.dpo, model: sft, data: [pairs, taught], sequence: 256}
  bits: {uses: eval.perplexity, model: dpo, documents: corpus, characters: 2k}
  answers: {uses: eval.exact, model: dpo, questions: questions, max_new_tokens: 8}
  report: {uses: report.run}
"""
KILLS = 20


def digests(run: Path) -> dict[str, str]:
    return {
        link.name: json.loads((link / "manifest.json").read_text())["digest"]
        for link in sorted((run / "stages").iterdir())
    }


@pytest.mark.slow(minutes=10)
def test_twenty_kills_change_no_byte(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    watari = Command(tmp_path)
    began = time.monotonic()
    watari("run", "recipe.yaml", "--out", "calm/run")
    whole = time.monotonic() - began
    draws = random.Random(20261122)
    killed = finished = 0
    while killed < KILLS:
        process = watari.start("run", "recipe.yaml", "--out", f"rough{finished}/run")
        # Torch is imported anew each time, so a kill must fall well into the run for the work to get on.
        time.sleep(draws.uniform(0.15, 0.55) * whole)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate(timeout=60)
        if process.returncode == 0:
            finished += 1
    watari("run", "recipe.yaml", "--out", f"rough{finished}/run")
    wanted = digests(tmp_path / "calm" / "run")
    assert len(wanted) == 19
    for number in range(finished + 1):
        assert digests(tmp_path / f"rough{number}" / "run") == wanted
        assert "0 faults" in watari("verify", f"rough{number}/run")
