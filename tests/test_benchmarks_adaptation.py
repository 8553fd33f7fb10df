"""`benchmarks/adaptation.py`: that held-back text stays so, that time is counted fairly, and that its arms are what they say."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from watari.evals.bits import bits_of

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def path() -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def corpus() -> Any:
    data = module("adaptation_data")
    return data.read_corpus(None, data.Amounts(20_000, 8_000, held_back=8, stretches=6, measured=40))


@pytest.fixture(scope="module")
def setting() -> Any:
    shape = module("adaptation_base").Shape(
        "package://mistral-v1", width=16, layers=1, heads=2, tokens=1024, sequence=32, batch=4
    )
    return module("adaptation_arms").Setting(shape, pieces=32)


@pytest.fixture(scope="module")
def base(setting: Any, corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder: Path = module("adaptation_base").base_model(
        setting.shape, corpus, tmp_path_factory.mktemp("cache")
    )
    return folder


def test_held_back_documents_are_not_learned_from(corpus: Any) -> None:
    learned = "\n".join(text.text for text in [*corpus.english, *corpus.japanese])
    for part in (corpus.test, corpus.development):
        assert {"books", "aozora", "kyoto"} == set(part)
        for texts in part.values():
            assert texts
            assert not any(text in learned for text in texts if len(text) >= 40)
    for name, texts in corpus.test.items():
        assert not set(texts) & set(corpus.development[name])


def test_a_budget_takes_the_start_of_every_work_first() -> None:
    data = module("adaptation_data")
    works = [("a", "あ" * 5000), ("b", "い" * 100)]
    taken = data._taken(works, "x", "ja", 2100)
    assert [(text.id, len(text.text)) for text in taken] == [("x-a-0", 2000), ("x-b-0", 100)]


def test_stretches_stand_evenly_and_inside_the_text() -> None:
    data = module("adaptation_data")
    text = "".join(chr(0x4E00 + number) for number in range(100))
    found = data._measured([text], 2, 10)
    assert found == [text[20:30], text[70:80]]
    assert data._measured(["短い"], 2, 10) == ["短い"]


def test_the_clock_counts_steps_and_stands_while_it_measures() -> None:
    curve = module("adaptation_curve")

    def work(seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    class Slow:
        def bits(self, model: object) -> dict[str, float]:
            work(0.2)
            return {"books": 1.0, "aozora": 2.0, "kyoto": 4.0}

    course = curve.Course(Slow(), 4, 10, model=object())
    course.begin()
    # What a check before the first step took does not count either.
    work(0.1)
    course.begin()
    for step in range(1, 5):
        work(0.02)
        course.step(step)
    assert [point.tokens for point in course.points] == [0, 10, 20, 30, 40]
    assert 0.08 <= course.seconds < 0.2
    assert course.points[-1].seconds == course.seconds
    assert course.points[-1].japanese == 3.0
    assert course.points[-1].english == 1.0


def test_bits_are_those_of_the_library(base: Path, corpus: Any) -> None:
    from watari.pretrained import load_model, load_tokenizer
    from watari.pretrained.encoding import encode_documents

    tokenizer, model = load_tokenizer(base), load_model(base)
    found = module("adaptation_curve").Meter(corpus.test, tokenizer, 32).bits(model)
    ids = encode_documents(tokenizer, corpus.test["kyoto"])
    expected = sum(bits_of(model, ids, start=1, window=32, stride=16)) / sum(map(len, corpus.test["kyoto"]))
    assert found["kyoto"] == pytest.approx(expected, rel=5e-3)


@pytest.mark.slow
def test_all_arms_train_the_same_pieces_and_the_same_replay(
    base: Path, setting: Any, corpus: Any, tmp_path: Path
) -> None:
    arms, curve = module("adaptation_arms"), module("adaptation_curve")
    seconds = arms.expanded(setting, base, corpus, tmp_path / "grafted")
    assert set(seconds) == {"tokenizer", "rows"}
    pieces = arms.pieces_of(tmp_path / "tokenizer")
    assert len(pieces) == setting.pieces
    ours = arms.Watari(setting, tmp_path / "grafted", corpus, tmp_path / "ours")
    stock = arms.Stock(setting, base, pieces, corpus, normalized=False)
    assert len(stock.tokenizer) == len(ours.tokenizer)
    assert set(pieces) <= set(stock.tokenizer.get_vocab())
    text = corpus.test["kyoto"]
    per_token = {
        name: curve.Meter({"x": text}, tokenizer, 32).characters_per_token["x"]
        for name, tokenizer in (("ours", ours.tokenizer), ("stock", stock.tokenizer))
    }
    plain = curve.Meter({"x": text}, arms.load_tokenizer(base), 32).characters_per_token["x"]
    assert per_token["ours"] >= per_token["stock"] > plain
    # Without `normalized=False` a piece is only found behind a blank, where Japanese has none.
    first = arms.Stock(setting, base, pieces, corpus, texts=False)
    assert curve.Meter({"x": text}, first.tokenizer, 32).characters_per_token["x"] < per_token["stock"]
    windows = stock._mixture(40, 0)
    rows = [row.tolist() for row in stock._blocks[1]]
    assert sum(windows[place]["input_ids"].tolist() in rows for place in range(40)) == 10
    for arm in (ours, stock):
        meter = curve.Meter(corpus.test, arm.tokenizer, 32)
        course = arm.train(8, 3e-3, 0, meter)
        assert [point.tokens for point in course.points] == [0, 128, 256, 512, 768, 1024]
        assert len(course.each) == 8
        assert course.points[-1].japanese < course.points[0].japanese
        assert arm.train(8, 3e-3, 0, meter).points[-1].bits == course.points[-1].bits


def test_replay_of_ours_is_its_share_of_the_windows(
    base: Path, setting: Any, corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = module("adaptation_arms")
    seen: list[Any] = []
    mix = arms.mix
    monkeypatch.setattr(arms, "mix", lambda *given, **named: seen.append(mix(*given, **named)) or seen[-1])
    arms.Watari(setting, base, corpus, tmp_path / "plain").train(10, 1e-3, 0, None)
    assert (seen[0].source == 1).sum() == 10
    assert len(seen[0].source) == 40


@pytest.mark.slow
def test_quick_prints_claims() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "WATARI_TEST_DATA"}
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "run.py"), "--only", "adaptation", "--quick"],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line)["claim"] for line in done.stdout.splitlines()]
    for peer in ("stock", "no expansion"):
        assert f"bits per Japanese character after equal CPU time (both), ours against {peer}" in told
        assert any("50.0% of the time" in claim and claim.endswith(peer) for claim in told)
    assert sum(claim.startswith("bits per English character") for claim in told) == 3
