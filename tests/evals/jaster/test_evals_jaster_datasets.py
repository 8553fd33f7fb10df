"""Datasets in their published forms: the real ones against llm-jp-eval's own items, small ones, and broken ones."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from watari.errors import UserError
from watari.evals.jaster.datasets import load_datasets
from watari.evals.jaster.items import Dataset, normal
from watari.evals.spec import load_spec

REAL = ("jglue", "niilc", "jemhopqa", "janli", "jsick", "jsem")
JNLI = [
    {"sentence_pair_id": str(n), "sentence1": f"絵{n}です。", "sentence2": "絵です。", "label": "entailment"}
    for n in range(3)
]


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture(scope="module")
def real(test_data: Path) -> dict[str, Dataset]:
    return load_datasets([str(test_data / name) for name in REAL])


def test_published_files_give_the_items_that_llm_jp_eval_asked(
    real: dict[str, Dataset], test_data: Path
) -> None:
    """900 of 900, in upstream's order: verbatim, but for golds, which upstream keeps in NFKC."""
    found: Counter[str] = Counter()
    with gzip.open(test_data / "shisa-llm-jp-eval" / "items.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["dataset"] == "jamp":
                continue  # not stored
            item = real[row["dataset"]].test[row["i"]]
            assert (item.input, normal(item.gold)) == (row["input"], row["gold"]), (row["dataset"], row["i"])
            found[row["dataset"]] += 1
    assert found == dict.fromkeys(
        ("janli", "jcommonsenseqa", "jemhopqa", "jnli", "jsem", "jsick", "jsquad", "jsts", "niilc"), 100
    )


def test_splits_of_the_published_files(real: dict[str, Dataset]) -> None:
    sizes = {name: (len(one.test), len(one.train)) for name, one in real.items()}
    assert sizes["jcommonsenseqa"] == (1119, 8939)
    assert sizes["jnli"] == (2434, 0)
    assert sizes["jemhopqa"] == (120, 1059)
    assert sizes["niilc"] == (198, 795)
    assert sizes["janli"] == (720, 13680)
    assert real["jemhopqa"].sources[0].endswith("dev.json.gz")  # not one of its later versions


def test_other_items_than_those_of_jglues_valid_only_where_there_are_no_others(tmp_path: Path) -> None:
    write(tmp_path / "jnli" / "test-v1.3.json", lines(JNLI[:1]))
    assert len(load_datasets([str(tmp_path)])["jnli"].test) == 1
    write(tmp_path / "jnli" / "valid-v1.3.json", lines(JNLI))
    write(tmp_path / "jnli" / "README.md", "# nothing")
    assert len(load_datasets([str(tmp_path)])["jnli"].test) == 3


def test_one_file_packed_or_not_is_the_same(tmp_path: Path) -> None:
    plain = load_datasets([write(tmp_path / "valid.json", lines(JNLI))])["jnli"]
    packed = load_datasets(
        [write(tmp_path / "b" / "valid.json.gz", "\ufeff" + lines(JNLI).replace("\n", "\r\n"))]
    )
    assert [item.input for item in packed["jnli"].test] == [item.input for item in plain.test]
    assert plain.test[0].input == "前提：絵0です。\n仮説：絵です。"


def test_jamp_from_its_table_and_from_rows(tmp_path: Path) -> None:
    table = "num\tpremise\thypothesis\tgold\n1\t昨日走った。\t走った。\tentailment\n"
    write(tmp_path / "jamp" / "test_2.tsv", table)
    write(tmp_path / "jamp" / "train_all.tsv", table)
    one = load_datasets([str(tmp_path / "jamp")])["jamp"]
    assert (one.test[0].input, one.test[0].gold, len(one.train)) == (
        "前提：昨日走った。\n仮説：走った。",
        "entailment",
        1,
    )
    rows = [{"dataset": "jamp", "i": 0, "input": "前提：x\n仮説：y", "gold": "neutral"}]
    assert load_datasets([write(tmp_path / "rows.jsonl", lines(rows))])["jamp"].test[0].gold == "neutral"


def test_llm_jp_evals_own_folder(tmp_path: Path) -> None:
    def form(rows: int, **more: Any) -> str:
        samples = [{"input": f"問{n}", "output": f"答{n}"} for n in range(rows)]
        return json.dumps(
            {"instruction": "やる。", "output_length": 7, "metrics": [], "samples": samples, **more}
        )

    write(tmp_path / "evaluation" / "test" / "mawps.json", form(3))
    write(tmp_path / "evaluation" / "train" / "mawps.json", form(5))
    write(tmp_path / "evaluation" / "dev" / "mawps.json", form(9))
    one = load_datasets([str(tmp_path)])["mawps"]
    assert (len(one.test), len(one.train), one.instruction, one.output_length) == (3, 5, "やる。", 7)
    shots = [{"input": "例", "output": "答"}]
    alone = load_datasets([write(tmp_path / "old" / "jnli.json", form(2, few_shots=shots))])["jnli"]
    assert (len(alone.test), [item.input for item in alone.train]) == (2, ["例"])


def test_the_bundled_set() -> None:
    found = load_datasets(["bundled"])
    assert set(found) == set(load_spec("llm-jp-eval-1.0").model_dump()["datasets"])
    for name, one in found.items():
        assert (len(one.test), len(one.train)) == (20, 4), name
        golds = {item.gold for item in one.test}
        assert len(golds) > 1, name
        for item in (*one.test, *one.train):
            assert normal(item.gold) == item.gold
            if name == "jcommonsenseqa":
                assert f"{item.gold}." in item.input
            if name == "jsquad":
                assert item.gold in item.input.split("\n質問：")[0]
            if name == "jsts":
                assert 0 <= float(item.gold) <= 5
    labels = {"entailment", "contradiction", "neutral"}
    assert all({item.gold for item in found[name].test} == labels for name in ("jnli", "jsick", "jamp"))
    assert len({item.input for one in found.values() for item in (*one.test, *one.train)}) == 240


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "no dataset in a known form"),
        ("a.jsonl", '{"dataset": "jnli", "id": 1, "input": "x"}\n', "no dataset in a known form"),
        ("a.jsonl", '{"dataset": "jnli", "id": 1, "input": "x", "gold": "y"}\n{bro\n', r"a.jsonl:2: not JSON"),
        (
            "a.jsonl",
            lines([{"dataset": "jnli", "id": 1, "input": "x", "gold": 3}]),
            r"a.jsonl:1: `gold` is no text",
        ),
        ("a.jsonl", lines([{"dataset": "jnli", "input": "x", "gold": "y"}]), "neither `id` nor `i`"),
        (
            "a.jsonl",
            lines([{"dataset": "jsquad", "id": 1, "input": "x", "gold": "y"}] * 2),
            "1 is there twice",
        ),
        (
            "a.jsonl",
            lines([{"dataset": "jnli", "id": 1, "input": "x", "gold": "y", "split": "all"}]),
            "split: 'all'",
        ),
        ("valid.json", lines([*JNLI, {"sentence1": "x", "label": "neutral"}]), r"valid.json:4: `sentence1`|`sentence2` is missing"),
        ("valid.json", '{"data": [{"paragraphs": [{"qas": [{}]}]}]}', "not in SQuAD's form"),
        ("a.xml", "<questions><question>", "not XML"),
        ("a.xml", "<questions><question id='q'/></questions>", "question q: no text"),
        ("janli.tsv", "\tsentence_A_Ja\tsentence_B_Ja\tentailment_label_Ja\tsplit\n1\ta\n", "janli.tsv:2: 2 columns"),
        ("a.txt", "x", "no form that is known by its name"),
        ("a.json", "[", "not JSON"),
        ("a.json", "null", "no dataset in a known form"),
        ("a.json", "3", "no dataset in a known form"),
    ],
)  # fmt: skip
def test_broken_files_are_told_in_one_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        load_datasets([write(tmp_path / name, content)])
    assert "\n" not in raised.value.message


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "valid.json.gz"
    path.write_bytes(gzip.compress(lines(JNLI).encode())[:-9])
    with pytest.raises(UserError, match=r"valid.json.gz: cannot be read"):
        load_datasets([str(path)])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        load_datasets([str(path)])
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        load_datasets([str(tmp_path / "b.jsonl")])


def test_the_same_dataset_twice(tmp_path: Path) -> None:
    one = write(tmp_path / "a" / "valid.json", lines(JNLI))
    two = write(tmp_path / "b" / "valid.json", lines(JNLI))
    with pytest.raises(UserError, match="jnli comes from"):
        load_datasets([one, two])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no dataset in a known form"):
        load_datasets([str(tmp_path / "empty")])
