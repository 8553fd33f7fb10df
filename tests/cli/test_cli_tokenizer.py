"""`watari tokenizer ...` and `watari graft` as a user runs them: files in, folders and documented JSON out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from small_japanese import japanese
from watari.cli.main import app
from watari.cli.variadic import spread
from watari.errors import WatariError
from watari.pretrained.sentencepiece import Piece, read_spm

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
TEXTS = japanese(120)


def documented(name: str) -> Any:
    text = DOCS.read_text("utf-8")
    found = re.search(rf"<!-- json: {name} -->\n```json\n(.*?)```", text, re.S)
    assert found is not None
    return json.loads(found[1])


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, WatariError):
        assert done.exception.exit_code == code, done.exception
        return f"{done.stdout}\n{done.exception}"
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def same_shape(ours: Any, theirs: Any, at: str = "") -> None:
    """Fail unless both have the same keys, in dictionaries and in the first items of lists."""
    if isinstance(theirs, dict) and at not in (".by_language", ".languages"):
        assert isinstance(ours, dict), at
        assert list(ours) == list(theirs), at
        for key in theirs:
            same_shape(ours[key], theirs[key], f".{key}")
    elif isinstance(theirs, list) and theirs and ours:
        same_shape(ours[0], theirs[0], at)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli-tokenizer")
    for part in range(2):
        with open(root / f"{part}.jsonl", "w", encoding="utf-8") as file:
            for number, (language, text) in enumerate(TEXTS[part::2]):
                row = {"id": f"{part}-{number}", "body": text, "language": language}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    (root / "english.txt").write_text("The cat sat by the window.\n\tdef f(x): return “x”\n" * 20, "utf-8")
    run(
        *("tokenizer", "extend", "--base", "mistral-v1", "--text", root / "0.jsonl", root / "1.jsonl"),
        *("--field", "body", "--script", "ja", "--add", "200", "--out", root / "extended", "--fuzz", "300"),
    )
    return root


def test_words_after_a_list_option_belong_to_it() -> None:
    options = ("--text", "--weight")
    given = ["m1", "--text", "a", "b", "--json", "--weight", "1", "2", "--text=c", "--", "--text", "d"]
    assert spread(given, options) == [
        *("m1", "--text", "a", "--text", "b", "--json", "--weight", "1", "--weight", "2", "--text=c"),
        *("--", "--text", "d"),
    ]


def test_what_is_extended_loads_everywhere(folder: Path) -> None:
    from sentencepiece import SentencePieceProcessor
    from transformers import AutoTokenizer

    out = folder / "extended"
    fast = AutoTokenizer.from_pretrained(str(out))
    slow = SentencePieceProcessor(model_file=str(out / "tokenizer.model"))
    assert len(fast) == slow.get_piece_size() == 32_256
    for _, text in TEXTS:
        assert fast(text, add_special_tokens=False)["input_ids"] == slow.encode(text)
    certificate = json.loads((out / "certificate.json").read_text("utf-8"))
    assert certificate["holds"] is True
    assert str(folder) not in (out / "certificate.json").read_text("utf-8")


def test_extend_prints_the_documented_json(folder: Path) -> None:
    printed = run(
        *(
            "tokenizer",
            "extend",
            "--base",
            "mistral-v1",
            "--text",
            folder / "0.jsonl",
            "--text",
            folder / "1.jsonl",
        ),
        *(
            "--field",
            "body",
            "--add",
            "64",
            "--weight",
            "2",
            "1",
            "--out",
            folder / "weighed",
            "--fuzz",
            "50",
        ),
        "--json",
    )
    found = json.loads(printed)
    theirs = documented("tokenizer extend")
    found["characters_per_token"].pop("held_out")
    same_shape(found, theirs)
    assert found["added"] == 64


def test_dry_run_writes_nothing(folder: Path) -> None:
    printed = run(
        *("tokenizer", "extend", "--base", "tekken", "--text", folder / "0.jsonl", "--field", "body"),
        *("--out", folder / "nothing", "--dry-run"),
    )
    assert "131,072 ids" in printed
    assert "at most 11,008 new pieces" in printed
    assert not (folder / "nothing").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--add", "10", "--size", "40000"], "add and size exclude one another"),
        (["--script", "xx"], "--script: 'xx' has no language pack"),
        (["--weight", "1"], "--weight: 1 weights for 2 files"),
        (["--base", "nothing-here"], "nothing-here: no such file or folder"),
        (["--field", "text"], "0.jsonl: line 1: no text in 'text'"),
        (["--forbid", "("], "--forbid: '(' is not a regular expression"),
        (["--out", "."], "--out: . is there already"),
    ],
)
def test_mistakes_are_told_by_option(folder: Path, words: list[str], said: str) -> None:
    options = {"--base": "mistral-v1", "--field": "body", "--out": str(folder / "wrong"), "--add": "10"}
    options |= dict(zip(words[::2], words[1::2], strict=True))
    flat = [word for pair in options.items() for word in pair]
    printed = run("tokenizer", "extend", "--text", folder / "0.jsonl", folder / "1.jsonl", *flat, code=1)
    assert said in printed
    assert not (folder / "wrong").exists()


def test_measure_prints_the_documented_json(folder: Path) -> None:
    printed = run(
        *("tokenizer", "measure", "mistral-v1", folder / "extended", "--text", folder / "0.jsonl"),
        *(folder / "1.jsonl", "--field", "body", "--json"),
    )
    found = json.loads(printed)
    same_shape(found, documented("tokenizer measure"))
    assert len(found) == 4
    by_name = {(row["tokenizer"], row["file"]): row for row in found}
    base = by_name["mistral-v1", str(folder / "0.jsonl")]
    ours = by_name[str(folder / "extended"), str(folder / "0.jsonl")]
    assert base["chars"] == ours["chars"] == sum(len(text) for _, text in TEXTS[0::2])
    assert ours["chars_per_token"] > 1.5 * base["chars_per_token"]


def test_verify_prints_the_documented_json_and_fails_what_is_broken(folder: Path) -> None:
    words = ("tokenizer", "verify", "mistral-v1")
    printed = run(*words, folder / "extended", "--text", folder / "english.txt", "--fuzz", "200", "--json")
    found = json.loads(printed)
    same_shape(found, documented("tokenizer verify"))
    assert found["holds"] is True
    assert all(row["holds"] is not False for row in found["invariants"])

    model = read_spm(folder / "extended" / "tokenizer.model")
    (folder / "broken.model").write_bytes(model.extended([Piece("▁cat▁sat", 0.0)]).data)
    printed = run(
        *words,
        folder / "broken.model",
        "--text",
        folder / "english.txt",
        "--fuzz",
        "100",
        "--script",
        "ja",
        code=3,
    )
    assert "FAILS" in printed
    (folder / "double.model").write_bytes(model.extended([Piece("▁cat", 0.0)]).data)
    assert "does not load" in run(*words, folder / "double.model", code=1)
    assert "unchanged" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80


def test_report_trim_and_graft_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from watari.artifact.outside import packaged_file
    from watari.pretrained import load_model
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    printed = run(
        "tokenizer", "report", folder / "extended", "--base", "mistral-v1", "--out", tmp_path / "page.html"
    )
    assert str(tmp_path / "page.html") in printed
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")

    printed = run(
        "tokenizer", "trim", "--base", "mistral-v1", "--drop", "ko", "ru", "--out", tmp_path / "trimmed"
    )
    assert "32,000 - " in printed
    assert (tmp_path / "trimmed" / "trim.json").is_file()

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=32_000, num_key_value_heads=2, **sizes))  # type: ignore[arg-type]
    model.save_pretrained(tmp_path / "base")
    write_fast_tokenizer(read_spm(packaged_file("package://mistral-v1")), tmp_path / "base")
    graft = ("graft", "--model", tmp_path / "base", "--tokenizer", folder / "extended")
    printed = run(*graft, "--out", tmp_path / "grafted")
    assert "32,000 + 256 rows by subword-mean" in printed
    ids = torch.tensor([[1, 5, 17, 400]])
    with torch.no_grad():
        after = load_model(tmp_path / "grafted")(ids).logits
        assert after.shape[-1] == 32_256
        assert torch.equal(after[..., :32_000], load_model(tmp_path / "base")(ids).logits)
    texts = (folder / "0.jsonl", folder / "english.txt", "--field", "body")
    printed = run(*graft, "--init", "count-bias", "--text", *texts, "--out", tmp_path / "biased", "--json")
    assert json.loads(printed)["init"] == "count-bias"
    printed = run(*graft, "--init", "count-bias", "--out", tmp_path / "no-text", code=1)
    assert "--text" in printed or "text" in printed
    assert not (tmp_path / "no-text" / "config.json").exists()
