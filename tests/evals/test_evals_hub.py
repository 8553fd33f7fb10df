"""Evaluation data named by hub ids: what is read, what is refused in words, what the cache gives without a network.

What talks to the hub is a process of its own (`hub_stand_in`): one reads a list of places and says what it got.
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub_stand_in import TOKEN, HubStandIn, run_python, serving, settings
from python_nursery import Nursery, nursery
from raw_server import Say, answer, serving_raw

QUESTIONS = [
    {"question_id": n, "category": "writing", "turns": [f"渡り鳥を{n}羽描いて。", "短くして。"]}
    for n in (1, 2, 3)
]
JASTER = [
    {
        "dataset": "niilc",
        "id": f"n{n}",
        "input": f"質問：{n}？",
        "gold": str(n),
        "split": "train" if n < 4 else "test",
    }
    for n in range(8)
]
JNLI = [
    {"sentence_pair_id": str(n), "sentence1": f"絵{n}です。", "sentence2": "絵です。", "label": "entailment"}
    for n in range(3)
]
RAKUDA = [{"text": f"日本の川を{n}本。", "category": "地理"} for n in (1, 2)]

READ = """
import json, sys, time
from watari.errors import UserError

def mtbench(place):
    from watari.evals.mtbench.questions import read_questions
    found = read_questions(place, "ja")
    return [found.name, [[one.id, one.category, *one.turns] for one in found.questions], found.digest]

def jaster(place):
    from watari.evals.jaster.datasets import load_datasets
    return {
        name: [list(one.sources), {split: [[i.input, i.gold] for i in getattr(one, split)] for split in ("train", "test")}]
        for name, one in load_datasets([place]).items()
    }

def shaberi(place):
    from watari.evals.shaberi.questions import read_questions
    from watari.evals.spec import load_spec
    return [[one.id, one.dataset.short, one.text] for one in read_questions(load_spec("shaberi"), place).questions]

def texts(place):
    from watari.text.evaluation_sets import read
    return [[one.task, one.item, one.text, one.split] for one in read(place)]

def key(place):
    from watari.artifact.outside import fingerprint
    return fingerprint(place)

def params(place):
    from watari.artifact.params import key_parameters, outside_paths
    from watari.artifact.outside import fingerprint
    from watari.evals.mtbench.params import Params
    server = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    made = Params(model=server, judge=server, language="ja", questions=place)
    outside = {path: fingerprint(path) for path in outside_paths(made)}
    return [outside, key_parameters(made, outside)["questions"]]

def rows(place):
    from watari.artifact.reading import ReadOptions, read_records
    return [record.row for record in read_records(place, ReadOptions())]

if len(sys.argv) > 2:
    from watari.artifact import hub_files
    hub_files.KEPT = int(sys.argv[2])
for how, place in json.loads(sys.argv[1]):
    began = time.monotonic()
    try:
        said = {"ok": globals()[how](place)}
    except UserError as error:
        said = {"error": str(error)}
    print(json.dumps({**said, "seconds": time.monotonic() - began}))
"""


def python(*arguments: str, environment: dict[str, str], cwd: Path | None = None) -> Any:
    """Run Python in one new process, to its end."""
    return NURSERY[0].run(arguments, environment, cwd=cwd)


NURSERY: list[Nursery] = []


@pytest.fixture(scope="module", autouse=True)
def kept_nursery() -> Iterator[None]:
    with nursery() as kept:
        NURSERY.append(kept)
        yield
        NURSERY.clear()


def read(environment: dict[str, str], *places: tuple[str, str]) -> list[dict[str, Any]]:
    """Read places in one new process; a traceback fails the test."""
    done = python("-c", READ, json.dumps(places), environment=environment)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def fill(hub: HubStandIn) -> dict[str, str]:
    """Push the repositories of these tests; return their commits."""
    readme = b"# words\n"
    commits = {
        "old": hub.push(
            "datasets/org/mt", {"README.md": readme, "question.jsonl": lines(QUESTIONS[:1])}, tag="v1"
        ),
        "mt": hub.push("datasets/org/mt", {"README.md": readme, "question.jsonl": lines(QUESTIONS)}),
        # A model of the same name: it is not what an evaluation asks for.
        "model": hub.push("models/org/mt", {"config.json": b"{}"}),
        "packed": hub.push(
            "datasets/org/packed", {"data/question.jsonl.gz": gzip.compress(lines(QUESTIONS), mtime=0)}
        ),
        "columns": hub.push(
            "datasets/org/columns", {"data/train-00000-of-00001.parquet": parquet(QUESTIONS)}
        ),
        "rows": hub.push("datasets/org/rows", {"niilc.jsonl": lines(JASTER), "figure.png": b"\x89PNG"}),
        "jaster": hub.push(
            "datasets/org/train-sets",
            {
                "README.md": readme,
                "jnli/train-v1.1.json": lines(JNLI[:1]),
                "jnli/valid-v1.1.json.gz": gzip.compress(lines(JNLI[1:]), mtime=0),
                "niilc/rows.parquet": parquet(JASTER),
            },
        ),
    }
    hub.push("datasets/yuzuai/rakuda-questions", {"questions.jsonl": lines(RAKUDA)})
    elyza = 'input,output,eval_aspect\n"川を渡る、\n渡り鳥。",例,- 詩になっている\n'
    hub.push("datasets/elyza/ELYZA-tasks-100", {"README.md": readme, "test.csv": elyza.encode()})
    hub.push("datasets/org/mixed", {"a.csv": elyza.encode(), "b.jsonl": lines(RAKUDA)})
    hub.push("datasets/org/own", {"all.json": json.dumps({"Rakuda": RAKUDA, "mine": RAKUDA}).encode()})
    hub.push("datasets/org/secret", {"question.jsonl": lines(QUESTIONS)})
    hub.repositories["datasets/org/secret"].private = True
    hub.push("datasets/org/terms", {"question.jsonl": lines(QUESTIONS)})
    hub.repositories["datasets/org/terms"].gated = True
    return commits


@pytest.fixture(scope="module")
def hub() -> Iterator[HubStandIn]:
    with serving() as standing:
        yield standing


@pytest.fixture(scope="module")
def commits(hub: HubStandIn) -> dict[str, str]:
    return fill(hub)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub-home")


PLACES = [
    ("mtbench", "org/mt"),
    ("mtbench", "hf://org/mt"),
    ("mtbench", "hf://datasets/org/mt/question.jsonl"),
    ("mtbench", "hf://datasets/org/mt@v1/question.jsonl"),
    ("mtbench", "hf://datasets/org/mt@v1"),
    ("mtbench", "org/packed"),
    ("mtbench", "hf://datasets/org/columns/data/*.parquet"),
    ("jaster", "org/rows"),
    ("jaster", "hf://datasets/org/train-sets"),
    ("jaster", "hf://datasets/org/train-sets/jnli"),
    ("jaster", "hf://datasets/org/train-sets/niilc/rows.parquet"),
    ("shaberi", "yuzuai/rakuda-questions"),
    ("shaberi", "hf://datasets/yuzuai/rakuda-questions@main/questions.jsonl"),
    ("shaberi", "hf://datasets/org/own/all.json"),
    ("shaberi", "elyza/ELYZA-tasks-100"),
    ("shaberi", "hf://datasets/elyza/ELYZA-tasks-100/test.csv"),
    ("texts", "org/mt"),
    ("texts", "hf://datasets/org/train-sets/jnli"),
    ("key", "hf://datasets/org/mt"),
    ("key", "hf://datasets/org/mt@v1/question.jsonl"),
    ("params", "org/mt"),
    ("params", "hf://datasets/org/mt@v1"),
]


@pytest.fixture(scope="module")
def found(hub: HubStandIn, commits: dict[str, str], home: Path) -> dict[tuple[str, str], Any]:
    """What the first process, with a network, read of every place."""
    return dict(zip(PLACES, read(hub.settings(home), *PLACES), strict=True))


def test_questions_of_mtbench(found: dict[tuple[str, str], Any]) -> None:
    every = [[str(q["question_id"]), "writing", *q["turns"]] for q in QUESTIONS]
    digests = set()
    for place in ("org/mt", "hf://org/mt", "hf://datasets/org/mt/question.jsonl", "org/packed"):
        _, questions, digest = found["mtbench", place]["ok"]
        assert questions == every, place
        digests.add(digest)
    assert found["mtbench", "hf://datasets/org/columns/data/*.parquet"]["ok"][1] == every
    assert len(digests) == 1
    for place in ("hf://datasets/org/mt@v1/question.jsonl", "hf://datasets/org/mt@v1"):
        assert found["mtbench", place]["ok"][1] == every[:1], place


def test_data_of_jaster(found: dict[tuple[str, str], Any]) -> None:
    items = {
        split: [[row["input"], row["gold"]] for row in JASTER if row["split"] == split]
        for split in ("train", "test")
    }
    assert found["jaster", "org/rows"]["ok"] == {"niilc": [["org/rows/niilc.jsonl"], items]}
    # `train` in the repository's name says nothing of a file's split.
    published = found["jaster", "hf://datasets/org/train-sets"]["ok"]
    assert published["niilc"] == [["org/train-sets/niilc/rows.parquet"], items]
    sources, parts = published["jnli"]
    assert sources == ["org/train-sets/jnli/train-v1.1.json", "org/train-sets/jnli/valid-v1.1.json.gz"]
    assert [len(parts["train"]), len(parts["test"])] == [1, 2]
    assert found["jaster", "hf://datasets/org/train-sets/jnli"]["ok"] == {"jnli": published["jnli"]}
    alone = found["jaster", "hf://datasets/org/train-sets/niilc/rows.parquet"]["ok"]
    assert alone == {"niilc": published["niilc"]}


def test_questions_of_shaberi(found: dict[tuple[str, str], Any]) -> None:
    rakuda = [[f"Rakuda/{n}", "Rakuda", row["text"]] for n, row in enumerate(RAKUDA, 1)]
    assert found["shaberi", "yuzuai/rakuda-questions"]["ok"] == rakuda
    # The benchmark is known by the repository, whatever stands behind its name.
    assert found["shaberi", "hf://datasets/yuzuai/rakuda-questions@main/questions.jsonl"]["ok"] == rakuda
    for place in ("elyza/ELYZA-tasks-100", "hf://datasets/elyza/ELYZA-tasks-100/test.csv"):
        assert found["shaberi", place]["ok"] == [["ELYZA 100/1", "ELYZA 100", "川を渡る、\n渡り鳥。"]], place
    mine = [[f"mine/{n}", "mine", row["text"]] for n, row in enumerate(RAKUDA, 1)]
    assert found["shaberi", "hf://datasets/org/own/all.json"]["ok"] == rakuda + mine


def test_texts_to_keep_out_of_a_corpus(found: dict[tuple[str, str], Any]) -> None:
    texts = found["texts", "org/mt"]["ok"]
    assert [text for _, _, text, _ in texts] == [turn for q in QUESTIONS for turn in q["turns"]]
    assert {task for task, *_ in texts} == {"mt/question"}
    splits = {task: split for task, _, _, split in found["texts", "hf://datasets/org/train-sets/jnli"]["ok"]}
    assert splits == {"jnli/train-v1.1": "train", "jnli/valid-v1.1": "test"}


def test_the_key_names_the_commit_of_the_dataset(
    found: dict[tuple[str, str], Any], commits: dict[str, str]
) -> None:
    assert found["key", "hf://datasets/org/mt"]["ok"] == commits["mt"]
    assert found["key", "hf://datasets/org/mt@v1/question.jsonl"]["ok"] == commits["old"]
    # Not that of the model of this name.
    place = "hf://datasets/org/mt"
    assert found["params", "org/mt"]["ok"] == [{place: commits["mt"]}, {"outside": commits["mt"]}]
    assert found["params", f"{place}@v1"]["ok"][1] == {"outside": commits["old"]}


def test_only_what_is_read_is_fetched_and_once(found: dict[tuple[str, str], Any], hub: HubStandIn) -> None:
    fetched = hub.fetched()
    assert "README.md" not in fetched
    assert "figure.png" not in fetched
    assert fetched.count("niilc.jsonl") == 1
    assert fetched.count("question.jsonl") == 2  # of two commits


def test_the_cache_is_read_without_a_network(
    found: dict[tuple[str, str], Any], hub: HubStandIn, home: Path
) -> None:
    asked = len(hub.asked)
    known = [place for place in PLACES if place[1] != "hf://datasets/org/columns/data/*.parquet"]
    again = read(hub.settings(home, offline=True), *known)
    for place, said in zip(known, again, strict=True):
        assert said.get("ok") == found[place]["ok"], (place, said)
    assert len(hub.asked) == asked
    unreachable = read(settings("http://127.0.0.1:9", home), ("mtbench", "org/mt"), ("jaster", "org/rows"))
    assert [said["ok"] for said in unreachable] == [
        found["mtbench", "org/mt"]["ok"],
        found["jaster", "org/rows"]["ok"],
    ]


@pytest.mark.slow
def test_half_of_a_dataset_in_the_cache_is_not_taken_for_the_whole(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    """One file is there, the other never was: offline, its folder is refused and the file is read."""
    hub.push("datasets/org/two", {"data/a.jsonl": lines(QUESTIONS[:1]), "data/b.jsonl": lines(QUESTIONS[1:])})
    read(hub.settings(tmp_path), ("rows", "hf://datasets/org/two/data/a.jsonl"))
    whole, other, one = read(
        hub.settings(tmp_path, offline=True),
        ("rows", "hf://datasets/org/two"),
        ("rows", "hf://datasets/org/two/data/b.jsonl"),
        ("rows", "hf://datasets/org/two/data/a.jsonl"),
    )
    # Read as a whole, it is there in parts too.
    read(hub.settings(tmp_path), ("rows", "hf://datasets/org/two"))
    parts = [
        f"hf://datasets/org/two/{path}" for path in ("data/b.jsonl", "data", "data/a*.jsonl", "*.jsonl", "b")
    ]
    again = read(hub.settings(tmp_path, offline=True), *(("rows", part) for part in parts))
    assert [said.get("ok") for said in again] == [QUESTIONS[1:], QUESTIONS, QUESTIONS[:1], None, None]
    assert "the list of its files is not in the hub's cache" in whole["error"]
    assert "not in the hub's cache" in other["error"]
    assert one["ok"] == QUESTIONS[:1]


@pytest.mark.slow
def test_the_library_of_the_hub_reads_the_same_rows(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    """`datasets` is the oracle, of the stand-in too: JSON lines, packed ones, parquet."""
    names = ["org/mt", "org/packed", "org/columns"]
    script = (
        "import datasets, json, sys\n"
        "for name in sys.argv[1:]:\n"
        "    print(json.dumps(list(datasets.load_dataset(name, split='train'))))"
    )
    done = run_python(["-c", script, *names], hub.settings(tmp_path / "theirs"))
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    ours = read(hub.settings(tmp_path / "ours"), *(("rows", f"hf://datasets/{name}") for name in names))
    assert [said["ok"] for said in ours] == theirs == [QUESTIONS] * 3


def test_a_name_stands_for_one_commit_within_a_process(hub: HubStandIn, tmp_path: Path) -> None:
    """A push between the key and the reading does not slip in."""
    first = hub.push("datasets/org/moving", {"question.jsonl": lines(QUESTIONS[:1])})
    script = READ.replace(
        "    began = time", "    sys.stdin.readline() if how == 'mtbench' else None\n    began = time"
    )
    places = [("key", "hf://datasets/org/moving"), ("mtbench", "org/moving")]
    child = subprocess.Popen(
        [sys.executable, "-u", "-c", script, json.dumps(places)],
        env=hub.settings(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["ok"] == first
    hub.push("datasets/org/moving", {"question.jsonl": lines(QUESTIONS)})
    child.stdin.write("go\n")
    child.stdin.flush()
    assert [one[0] for one in json.loads(child.stdout.readline())["ok"][1]] == ["1"]
    assert child.wait() == 0


def test_a_pinned_name_stands_for_the_commit_of_its_key(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    pinned = f"""
from watari.artifact import hub
hub.pin({{"hf://datasets/org/mt": "{commits["old"]}", "/a/file": "0" * 32}})
"""
    places = [("rows", "hf://datasets/org/mt/question.jsonl"), ("key", "hf://datasets/org/mt")]
    done = python("-c", pinned + READ, json.dumps(places), environment=hub.settings(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["ok"] for line in done.stdout.splitlines()] == [QUESTIONS[:1], commits["old"]]


REFUSED = [
    ("org/nothing", "hf://datasets/org/nothing: the hub has no such dataset, or a private one", "HF_TOKEN"),
    ("org/secret", "hf://datasets/org/secret: the hub has no such dataset, or a private one", "HF_TOKEN"),
    ("org/terms", "gives it only to those who accepted its terms", "HF_TOKEN"),
    ("hf://datasets/org/mt@v9", "no revision 'v9' on the hub", "branch, tag or commit"),
    ("hf://datasets/org/mt/nowhere.jsonl", "no such file in this repository", "question.jsonl"),
    ("hf://datasets/org/mt/no/where/*.jsonl", "no such file in this repository", "question.jsonl"),
    (
        "shaberi org/mixed",
        "holds hf://datasets/org/mixed/a.csv and hf://datasets/org/mixed/b.jsonl",
        "name the file",
    ),
]


@pytest.fixture(scope="module")
def refused(
    hub: HubStandIn, commits: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("refused")
    places = [
        ("shaberi", place[8:]) if place.startswith("shaberi ") else ("mtbench", place)
        for place, *_ in REFUSED
    ]
    return dict(zip([place for place, *_ in REFUSED], read(hub.settings(home), *places), strict=True))


@pytest.mark.parametrize(("place", "words", "mend"), REFUSED)
def test_is_refused_in_one_line(refused: dict[str, Any], place: str, words: str, mend: str) -> None:
    told = refused[place]["error"]
    assert words in told
    assert mend in told.partition("(")[2]
    assert "\n" not in told


def test_a_token_opens_a_private_dataset_and_is_never_printed(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    (said,) = read(hub.settings(tmp_path / "a", token=TOKEN), ("mtbench", "org/secret"))
    assert len(said["ok"][1]) == 3
    assert f"Bearer {TOKEN}" in hub.tokens
    wrong = "hf_" + "wrong" * 7
    for how, place in (("mtbench", "org/secret"), ("mtbench", "org/mt")):
        done = python(
            "-c", READ, json.dumps([(how, place)]), environment=hub.settings(tmp_path / "b", token=wrong)
        )
        assert "the hub does not take the token in HF_TOKEN" in json.loads(done.stdout)["error"]
        assert wrong not in done.stdout + done.stderr
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN in path.read_text("utf-8", "replace")
    ]


def test_a_hub_that_is_down_says_its_status(hub: HubStandIn, commits: dict[str, str], tmp_path: Path) -> None:
    hub.fault("/api/datasets/org/packed", status=503)
    hub.fault("/api/datasets/org/columns", status=403)
    try:
        before = len(hub.asked)
        down, forbidden = read(hub.settings(tmp_path), ("mtbench", "org/packed"), ("mtbench", "org/columns"))
        assert "the hub answers with HTTP status 503" in down["error"]
        assert "HTTP status 403" in forbidden["error"]
        assert "HF_TOKEN" in forbidden["error"]
        assert len(hub.asked) == before + 2  # one question each: no minute of retries
    finally:
        hub.mend()


@pytest.mark.slow
def test_a_hub_that_always_breaks_off_leaves_nothing_behind(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    """The library tries six times, a second apart."""
    hub.fault("datasets/org/columns/resolve", cut=0)
    try:
        (said,) = read(hub.settings(tmp_path), ("mtbench", "org/columns"))
    finally:
        hub.mend()
    assert said["error"].startswith("hf://datasets/org/columns/data/train-00000-of-00001.parquet:")
    assert "\n" not in said["error"]
    (offline,) = read(hub.settings(tmp_path, offline=True), ("mtbench", "org/columns"))
    assert "cache" in offline["error"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "place"), [("columns", "org/columns"), ("packed", "org/packed")])
def test_a_body_that_breaks_off_is_fetched_on(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path, name: str, place: str
) -> None:
    hub.fault(f"datasets/org/{name}/resolve", cut=50, times=2)  # HEAD, and the first GET
    try:
        (said,) = read(hub.settings(tmp_path), ("mtbench", place))
        assert len(said["ok"][1]) == len(QUESTIONS)
    finally:
        hub.mend()


@pytest.mark.slow
def test_what_the_hub_refuses_now_is_not_taken_from_the_cache(hub: HubStandIn, tmp_path: Path) -> None:
    """A server that is down is another matter."""
    hub.push("datasets/org/closing", {"question.jsonl": lines(QUESTIONS)})
    environment, place = hub.settings(tmp_path), ("mtbench", "org/closing")
    read(environment, place)
    hub.fault("/api/datasets/org/closing", status=503)
    try:
        (down,) = read(environment, place)
    finally:
        hub.mend()
    assert len(down["ok"][1]) == 3
    hub.repositories["datasets/org/closing"].private = True
    (closed,) = read(environment, place)
    assert "HF_TOKEN" in closed["error"]


def test_large_files_are_streamed_and_fill_no_cache(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path
) -> None:
    places = [
        ("rows", "hf://datasets/org/columns@main"),
        ("rows", "hf://datasets/org/packed/data/question.jsonl.gz"),
    ]
    done = python("-c", READ, json.dumps(places), "10", environment=hub.settings(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["ok"] for line in done.stdout.splitlines()] == [QUESTIONS, QUESTIONS]
    assert not list(tmp_path.rglob("blobs"))


def watari(environment: dict[str, str], cwd: Path, *arguments: str, code: int = 0) -> str:
    """Run the command as a user would; return what it printed, its messages behind."""
    done = python("-m", "watari", *arguments, environment=environment, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


SERVER = "m=http://127.0.0.1:9/v1"  # nobody is there, and a dry run asks nobody


@pytest.mark.parametrize(
    ("spec", "place", "judged", "shown"),
    [
        ("nejumi-mt-bench-ja", "org/mt", True, "渡り鳥を1羽描いて。"),
        ("shaberi", "hf://datasets/yuzuai/rakuda-questions", True, "Rakuda: 2 questions"),
        ("llm-jp-eval-1.3", "hf://org/rows", False, "niilc"),
    ],
)
def test_dry_run_of_a_hub_id(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path, spec: str, place: str, judged: bool, shown: str
) -> None:
    judge = ["--judge", SERVER] if judged else []
    told = watari(
        hub.settings(tmp_path / "home"), tmp_path,
        "eval", "run", spec, "--model", SERVER, *judge, "--questions", place, "--out", "out", "--dry-run",
        *(["--set", "shots=2", "--set", "datasets=[niilc]"] if not judged else []),
    )  # fmt: skip
    assert shown in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("place", "up", "words"),
    [
        ("org/nothing", True, "the hub has no such dataset"),
        ("org/secret", True, "HF_TOKEN"),
        ("org/mt", False, "the hub does not answer"),
    ],
)
def test_the_command_refuses_in_one_line(
    hub: HubStandIn, commits: dict[str, str], tmp_path: Path, place: str, up: bool, words: str
) -> None:
    """And a line for the mend; of an unreachable hub too, whose library would say each time that it tries again."""
    environment = hub.settings(tmp_path) if up else settings("http://127.0.0.1:9", tmp_path)
    told = watari(
        environment, tmp_path,
        "eval", "run", "nejumi-mt-bench-ja", "--model", SERVER, "--judge", SERVER, "--questions", place,
        "--out", "out", "--dry-run", code=1,
    )  # fmt: skip
    line, mend = told.splitlines()
    assert line.startswith(f"watari: hf://datasets/{place}: ")
    assert mend.startswith("        ")
    assert words in told


@pytest.mark.slow
def test_a_run_is_kept_with_the_commit_and_goes_on_without_a_network(hub: HubStandIn, tmp_path: Path) -> None:
    first = hub.push("datasets/org/kept", {"niilc.jsonl": lines(JASTER)})
    with serving_raw(lambda _: Say(answer("5"))) as server:
        command = [
            "eval", "run", "llm-jp-eval-1.3", "--model", f"m={server.base_url}", "--questions", "org/kept", "--out", "out",
            "--set", "shots=2", "--set", "datasets=[niilc]",
        ]  # fmt: skip
        watari(hub.settings(tmp_path), tmp_path, *command)
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
        assert manifest["parameters"]["questions"] == [{"outside": first}]
        assert manifest["outside"] == {"hf://datasets/org/kept": first}
        about = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
        assert about["questions"] == "hf://datasets/org/kept"
        asked = len(server.got)
        assert asked == 4
        watari(hub.settings(tmp_path, offline=True), tmp_path, *command)
        hub.push("datasets/org/kept", {"niilc.jsonl": lines(JASTER[:6])})
        told = watari(hub.settings(tmp_path), tmp_path, *command, code=1)
        assert "out holds another evaluation: questions has other content" in told
        assert len(server.got) == asked
