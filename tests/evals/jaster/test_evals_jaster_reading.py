"""Saved answers in every form that they are kept in, and what is wrong with a file told in one line."""

import gzip
import json

import pytest

from watari.errors import UserError
from watari.evals.jaster.reading import NO_TEXT, read_files

ROW = {"model": "m", "dataset": "jnli", "i": 0, "gold": "yes", "pred": "no"}


def write(path, rows, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = end.join(row if isinstance(row, str) else json.dumps(row) for row in rows) + end
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def outputs(folder, **datasets):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "output_eval.json"
    path.write_text(
        json.dumps({name: [{"prompt": "p", "input": "i", "pred": p, "gold": g} for p, g in items] for name, items in datasets.items()}, indent=1),
        "utf-8",
    )  # fmt: skip
    return path


def test_rows_of_many_models(tmp_path):
    rows = [ROW, ROW | {"i": 1, "pred": "yes"}, ROW | {"model": "n"}, ROW | {"dataset": "jsem", "i": "a"}]
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.json"):
        found = read_files([write(tmp_path / name, rows)])
        assert [one.model for one in found] == ["m", "n"]
        column = found[0].columns["jnli"]
        assert (column.items, column.golds, column.preds, column.runs) == (
            ["0", "1"], ["yes", "yes"], ["no", "yes"], [0, 0],
        )  # fmt: skip
        assert found[0].columns["jsem"].items == ["a"]
        assert found[0].sources == [str(tmp_path / name)]


def test_a_list_of_rows_and_a_single_row(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps([ROW, ROW | {"i": 1}]), "utf-8")
    (tmp_path / "one.json").write_text(json.dumps(ROW), "utf-8")
    assert read_files([tmp_path / "list.json"])[0].columns["jnli"].items == ["0", "1"]
    assert read_files([tmp_path / "one.json"])[0].columns["jnli"].items == ["0"]


def test_one_model_in_two_files_of_rows(tmp_path):
    paths = [write(tmp_path / "a.jsonl", [ROW]), write(tmp_path / "b.jsonl", [ROW | {"dataset": "jsem"}])]
    (found,) = read_files(paths)
    assert list(found.columns) == ["jnli", "jsem"]
    assert found.sources == [str(path) for path in paths]


def test_marks_line_ends_and_blank_lines_of_windows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(ROW | {"i": i}).encode() for i in range(3)) + b"\r\n\r\n"
    )
    assert read_files([path])[0].columns["jnli"].items == ["0", "1", "2"]


def test_the_original_form_is_called_as_its_folder(tmp_path):
    path = outputs(tmp_path / "shisa-7b", jnli=[("yes", "yes"), (" no", "no")], jsem=[("a", "b")])
    (found,) = read_files([path])
    assert found.model == "shisa-7b"
    assert found.columns["jnli"].preds == ["yes", " no"]
    assert found.columns["jnli"].items == ["0", "1"]
    packed = tmp_path / "packed" / "output_eval.json.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_files([packed])[0].model == "packed"
    named = tmp_path / "other-model.json"
    named.write_bytes(path.read_bytes())
    assert read_files([named])[0].model == "other-model"


def test_folders_of_one_name_are_told_apart(tmp_path):
    paths = [outputs(tmp_path / a / "m", jnli=[("x", "x")]) for a in ("one", "two")]
    other = outputs(tmp_path / "n", jnli=[("x", "x")])
    assert [one.model for one in read_files([*paths, other])] == ["one/m", "two/m", "n"]


def test_a_folder_stands_for_the_runs_in_it(tmp_path):
    for name in ("b", "a"):
        outputs(tmp_path / "logs" / name, jnli=[("x", "x")])
    assert [one.model for one in read_files([tmp_path / "logs"])] == ["a", "b"]
    twice = [tmp_path / "logs" / "a" / "output_eval.json", tmp_path / "logs", tmp_path / "logs" / "a"]
    assert [one.model for one in read_files(twice)] == ["a", "b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: neither an evaluation folder nor one with output_eval"):
        read_files([tmp_path / "empty"])


def test_the_form_of_later_releases(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(
        json.dumps({"outputs": {"jnli": [{"input": "i", "pred": "a", "true": "b"}]}, "config": {}}), "utf-8"
    )
    (found,) = read_files([path])
    assert (found.columns["jnli"].golds, found.columns["jnli"].preds) == (["b"], ["a"])


def test_the_first_of_two_answers_stays(tmp_path):
    rows = [ROW, ROW, ROW | {"pred": "yes"}, ROW | {"run": 1}, ROW | {"i": 1}]
    column = read_files([write(tmp_path / "rows.jsonl", rows)])[0].columns["jnli"]
    assert column.preds == ["no", "no", "no"]
    assert (column.items, column.runs) == (["0", "1", "0"], [0, 0, 1])
    assert (column.twice, column.differing) == (2, 1)


def test_answers_that_are_no_text_are_counted(tmp_path):
    preds = [None, 3, ["yes"], {"a": 1}, "", True]
    rows = [ROW | {"i": i, "pred": pred} for i, pred in enumerate(preds)]
    column = read_files([write(tmp_path / "rows.jsonl", rows)])[0].columns["jnli"]
    assert column.preds == [""] * 6
    assert column.reasons == dict.fromkeys((0, 1, 2, 3, 5), NO_TEXT)


def test_what_only_python_writes_is_read(tmp_path):
    lines = [json.dumps(ROW | {"pred": "\ud83d"}), json.dumps(ROW | {"i": 1})[:-1] + ', "loss": NaN}']
    column = read_files([write(tmp_path / "rows.jsonl", lines)])[0].columns["jnli"]
    assert column.preds == ["\ud83d", "no"]


BROKEN = [
    ([ROW, "{broken"], r"rows.jsonl:2: not JSON \(mend or remove the line\)"),
    (["{broken", ROW], "rows.jsonl:1: not JSON"),
    ([ROW, "null"], "rows.jsonl:2: not JSON"),
    ([ROW, "[1, 2]"], "rows.jsonl:2: not an object"),
    ([ROW, '"text"'], "rows.jsonl:2: not an object"),
    ([ROW, {k: v for k, v in ROW.items() if k != "pred"}], "rows.jsonl:2: no `pred`"),
    ([ROW, {k: v for k, v in ROW.items() if k != "gold"}], "rows.jsonl:2: no `gold`"),
    ([ROW, {k: v for k, v in ROW.items() if k != "i"}], "rows.jsonl:2: no `i`"),
    ([ROW, {k: v for k, v in ROW.items() if k != "dataset"}], "rows.jsonl:2: no `dataset`"),
    ([ROW, ROW | {"gold": 2}], r"rows.jsonl:2: `gold` is 2: no text \(put it in quotes\)"),
    ([ROW, ROW | {"gold": None}], "rows.jsonl:2: `gold` is null"),
    ([ROW, ROW | {"i": 1.5}], "rows.jsonl:2: `i` is 1.5"),
    ([ROW, ROW | {"i": True}], "rows.jsonl:2: `i` is true"),
    ([ROW, ROW | {"i": None}], "rows.jsonl:2: `i` is null"),
    ([ROW, ROW | {"run": "first"}], "rows.jsonl:2: `run` is \"first\""),
    ([ROW, ROW | {"run": -1}], "rows.jsonl:2: `run` is -1"),
    ([ROW, ROW | {"model": 3}], "rows.jsonl:2: `model` is 3"),
    ([ROW, ROW | {"model": ["a"]}], "rows.jsonl:2: `model` is"),
    ([ROW, ROW | {"dataset": {"a": 1}}], "rows.jsonl:2: `dataset` is"),
    ([ROW, ROW | {"i": 1, "model": ""}], "rows.jsonl:2: `model` is \"\""),
    ([""], "rows.jsonl: holds no rows"),
    (["[]"], "rows.jsonl: holds no rows"),
    (["{}"], "rows.jsonl: holds no answers"),
    (['{"jnli": []}'], "rows.jsonl: holds no answers"),
    (['{"jnli": {"a": 1}}'], "rows.jsonl: jnli: not a list of items"),
    (['{"jnli": [1]}'], "rows.jsonl: jnli: item 1: not an object"),
    (['{"jnli": [{"pred": "a", "gold": "b"}, {"pred": "a"}]}'], "rows.jsonl: jnli: item 2: no `gold`"),
    (['{"jnli": [{"gold": "a"}]}'], "rows.jsonl: jnli: item 1: no `pred`"),
    (["[" * 100_000], "not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "said"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_wrong_is_told_with_the_row(tmp_path, rows, said):
    with pytest.raises(UserError, match=said) as told:
        read_files([write(tmp_path / "rows.jsonl", rows)])
    assert "\n" not in str(told.value)


def test_files_that_cannot_be_read(tmp_path):
    whole = gzip.compress(json.dumps(ROW).encode() * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bytes.jsonl").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"cut.jsonl.gz: cannot be read: .* \(is it whole\?\)"):
        read_files([tmp_path / "cut.jsonl.gz"])
    with pytest.raises(UserError, match=r"gone.jsonl: there is no such file"):
        read_files([tmp_path / "gone.jsonl"])
    with pytest.raises(UserError, match=r"bytes.jsonl:1: not JSON"):
        read_files([tmp_path / "bytes.jsonl"])


def test_a_model_has_one_file_of_outputs(tmp_path):
    one = outputs(tmp_path / "m", jnli=[("x", "x")])
    rows = write(tmp_path / "rows.jsonl", [ROW])
    with pytest.raises(UserError, match="another file has answers of m"):
        read_files([rows, one])


def test_the_order_of_rows_is_no_matter(tmp_path):
    rows = [ROW | {"i": i, "gold": f"g{i}", "pred": None if i == 10 else str(i)} for i in (10, 2, 7, 1)]
    rows.append(ROW | {"i": "a", "run": 0})
    rows.append(ROW | {"i": 2, "run": 1})
    (one,), (other,) = (
        read_files([write(tmp_path / f"{n}.jsonl", some)]) for n, some in enumerate((rows, rows[::-1]))
    )
    column = one.columns["jnli"]
    assert column.items == ["1", "2", "7", "10", "a", "2"]
    assert column.golds[:4] == ["g1", "g2", "g7", "g10"]
    assert column.runs == [0, 0, 0, 0, 0, 1]
    assert column.reasons == {3: NO_TEXT}
    assert column == other.columns["jnli"]


@pytest.mark.parametrize("lacking", ["pred", "gold", "i"])
def test_a_single_row_that_lacks_a_field_is_told_as_a_row(tmp_path, lacking):
    row = {name: value for name, value in ROW.items() if name != lacking}
    for name in ("one.jsonl", "one.json"):
        with pytest.raises(UserError, match=rf"{name}:1: no `{lacking}`"):
            read_files([write(tmp_path / name, [row])])
