"""`watari corpus ...` as a user runs it: a build, a question about a row, a sample, errors in one line."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import in_process
from watari.artifact.outside import fingerprint

WORDS = ["山", "川", "海の", "空は", "花が", "鳥と", "風に", "月を", "本も", "水", "火", "木"]


def watari(*words: str | Path, check: bool = True, apart: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `watari corpus`; `apart`: in a process of its own."""
    if apart:
        done = subprocess.run(
            [sys.executable, "-m", "watari", "corpus", *map(str, words)],
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "COLUMNS": "80"},
            check=False,
        )
    else:
        done = in_process.watari("corpus", *words)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def sentence(number: int) -> str:
    return "".join(random.Random(number).choices(WORDS, k=12)) + "です。"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "pages.jsonl"
    rows: list[dict[str, Any]] = [
        {
            "id": f"d{n}",
            "text": "\n".join(sentence(13 * n + k) for k in range(12)),
            "url": f"https://a.jp/{n}",
        }
        for n in range(40)
    ]
    rows += [{"id": "copy", "text": rows[3]["text"]}, {"id": "short", "text": "短い。"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join([*lines, "not json", '{"text": ""}']) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "corpus"
    watari("build", "--input", pages, "--out", out, "--only", "ja", "--set", "min_characters=10")
    return out


def test_a_build_leaves_what_it_promises(corpus: Path, pages: Path) -> None:
    assert {path.name for path in corpus.iterdir()} >= {
        "documents",
        "ledger",
        "manifest.json",
        "report.html",
        "corpus.json",
        "README.md",
        "README.ja.md",
    }
    assert not (corpus / "work").exists()
    outside = json.loads((corpus / "manifest.json").read_text("utf-8"))["outside"]
    assert outside == {str(pages): fingerprint(str(pages))}
    ledger = pq.read_table(corpus / "ledger").to_pylist()
    assert len(ledger) == 44
    assert {"doc_id", "disposition", "reason", "value", "threshold", "survivor"} <= set(ledger[0])
    reasons = {row["doc_id"]: row["reason"] for row in ledger if row["disposition"] == "dropped"}
    assert reasons["short"] == "too short"
    assert sorted(reasons.values()) == ["empty", "exact duplicate", "not JSON", "too short"]
    ids = pq.read_table(corpus / "documents").column("id").to_pylist()
    assert len(ids) == 40


def test_the_same_command_gives_the_same_digest(corpus: Path, pages: Path, tmp_path: Path) -> None:
    done = watari(
        *(
            "build",
            "--input",
            pages,
            "--out",
            tmp_path / "again",
            "--only",
            "ja",
            "--workers",
            "1",
            "--quiet",
        ),
        *("--set", "min_characters=10", "--json"),
        apart=True,
    )
    told = json.loads(done.stdout)
    assert told["digest"] == json.loads((corpus / "manifest.json").read_text("utf-8"))["digest"]
    assert told["metrics"]["kept"] == 40
    assert done.stderr == ""


def test_explain_by_any_name(corpus: Path) -> None:
    by_id = json.loads(watari("explain", corpus, "short", "--json").stdout)
    assert (by_id["disposition"], by_id["reason"], by_id["value"]) == ("dropped", "too short", 3)
    assert by_id["place"] == "line 42"
    again = json.loads(watari("explain", corpus, by_id["key"], "--json").stdout)
    assert again["doc_id"] == "short"
    kept = watari("explain", corpus, "https://a.jp/7").stdout
    assert kept.startswith("d7\n")
    assert all(len(line) <= 80 for line in kept.splitlines())
    missing = watari("explain", corpus, "shirt", check=False)
    assert missing.returncode == 1
    assert "short" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_sample_of_what_was_dropped(corpus: Path) -> None:
    (row,) = json.loads(watari("sample", corpus, "--dropped", "exact duplicate", "-n", "20", "--json").stdout)
    assert {row["doc_id"], row["survivor"]} == {"copy", "d3"}
    assert row["text"].startswith(sentence(39))
    kept = json.loads(watari("sample", corpus, "-n", "5", "--json").stdout)
    assert len(kept) == 5
    wrong = watari("sample", corpus, "--dropped", "nonsense", check=False)
    assert wrong.returncode == 1
    assert "exact duplicate" in wrong.stderr


def test_the_report_is_written_again(corpus: Path) -> None:
    before = (corpus / "report.html").read_bytes()
    (corpus / "report.html").unlink()
    printed = watari("report", corpus).stdout
    assert (corpus / "report.html").read_bytes() == before
    assert "exact duplicate" in printed


def test_profiles_are_told(tmp_path: Path) -> None:
    names = {one["name"] for one in json.loads(watari("profiles", "--json").stdout)}
    assert names >= {"ja-swallow", "ja-llmjp", "ja-fineweb2", "en-gopher", "ko-fineweb2", "id-fineweb2"}
    assert "hiragana" in watari("profiles", "ja-swallow").stdout


def test_a_dry_run_writes_nothing(pages: Path, tmp_path: Path) -> None:
    done = watari(
        "build", "--input", pages, "--out", tmp_path / "o", "--profile", "ja-swallow", "--dry-run", "--json"
    )
    told = json.loads(done.stdout)
    assert (told["files"], told["shards"], told["profile"]) == (1, 1, "ja-swallow")
    assert told["bytes"] == pages.stat().st_size
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--input", "PAGES", "--profile", "ja-swalow"], "ja-swallow"),
        (["--input", "PAGES", "--set", "dedupp.near=true"], "dedup"),
        (["--input", "PAGES", "--set", "rules={hiragana: null}"], "profile"),
        (["--input", "PAGES", "--engine", "spark"], "pool"),
        (["--input", "PAGES", "--share", "0.5"], "--target"),
        (["--input", "PAGES", "--decontaminate", "EMPTY"], "EMPTY"),
        (["--input", "PAGES", "--target", "EMPTY"], "target"),
        (["--input", "EMPTY"], "holds no rows"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, pages: Path, tmp_path: Path) -> None:
    empty = tmp_path / "EMPTY.jsonl"
    empty.write_text("", "utf-8")
    given = [{"PAGES": str(pages), "EMPTY": str(empty)}.get(word, word) for word in words]
    done = watari("build", *given, "--out", tmp_path / "o", check=False)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("watari:")]) == 1
    again = watari("build", "--input", pages, "--out", tmp_path / "o", "--quiet")
    assert again.returncode == 0


def test_another_build_is_not_overwritten(corpus: Path, pages: Path) -> None:
    done = watari("build", "--input", pages, "--out", corpus, check=False)
    assert done.returncode == 1
    assert "is there already" in done.stderr


@pytest.mark.slow
def test_killed_and_run_again(pages: Path, tmp_path: Path) -> None:
    """Also with other parameters, which is refused: what stands there belongs to another build."""
    big = tmp_path / "big.jsonl"
    rows = [{"text": "\n".join(sentence(11 * n + k) + str(n) for k in range(30))} for n in range(4000)]
    big.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    given = ["--input", str(big), "--workers", "2", "--quiet", "--json", "--set", "dedup.max_cluster_share=1"]
    calm = json.loads(watari("build", *given, "--out", tmp_path / "calm").stdout)
    process = subprocess.Popen(
        [sys.executable, "-m", "watari", "corpus", "build", *given, "--out", str(tmp_path / "killed")],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("work/clean/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    other = watari("build", *given, "min_characters=5", "--out", tmp_path / "killed", check=False)
    assert other.returncode == 1
    assert "min_characters" in other.stderr
    again = json.loads(watari("build", *given, "--out", tmp_path / "killed").stdout)
    assert again["resumed"]
    assert again["digest"] == calm["digest"]


@pytest.mark.parametrize("left", [["run.json", "plan.json"], ["run.json"], []])
def test_killed_while_the_work_folder_was_removed(
    corpus: Path, pages: Path, tmp_path: Path, left: list[str]
) -> None:
    """The corpus is whole by then: the same command says so and removes the rest; another is refused."""
    out = tmp_path / "corpus"
    shutil.copytree(corpus, out)
    given = ["--input", pages, "--out", out, "--only", "ja", "--set"]
    (out / "work" / "clean").mkdir(parents=True)
    for name in left:
        # What stands in them is of no matter: the steps' files beside them are gone.
        (out / "work" / name).write_text("{}", "utf-8")
    other = watari("build", *given, "min_characters=11", check=False)
    assert other.returncode == 1
    assert "Traceback" not in other.stderr
    again = json.loads(watari("build", *given, "min_characters=10", "--json").stdout)
    assert again["digest"] == json.loads((corpus / "manifest.json").read_text("utf-8"))["digest"]
    assert again["metrics"]["rows_in"] == 44
    assert not (out / "work").exists()


def test_a_place_that_cannot_be_written_is_one_line(pages: Path) -> None:
    done = watari("build", "--input", pages, "--out", pages / "below", check=False, apart=True)
    assert done.returncode == 1
    assert "not a directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_of_the_readme_run(tmp_path: Path, test_data: Path) -> None:
    root = Path(__file__).parents[2]
    blocks = re.findall(
        r"^```sh\n(watari corpus .*?)^```", (root / "README.md").read_text("utf-8"), re.M | re.S
    )
    lines = [line.split("  #")[0].split(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) == 3
    assert all(line in (root / "docs" / "corpus.md").read_text("utf-8") for line in lines)
    with gzip.open(test_data / "kyoto-wiki" / "docs.jsonl.gz", "rt", encoding="utf-8") as file:
        texts = ["\n".join(json.loads(line)["ja"]) for _, line in zip(range(80), file, strict=False)]
    rows = [{"id": f"page-{n}", "text": text} for n, text in enumerate(texts)]
    longest = max(texts, key=len)
    rows.append({"id": "again", "text": longest.replace("京", "東")})
    with gzip.open(tmp_path / "pages.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    shutil.copy(test_data / "jglue" / "jsquad_valid-v1.3.json.gz", tmp_path / "jsquad.json.gz")
    for line in lines:
        words = shlex.split(line.replace("DOC_ID", "page-7"))
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout
