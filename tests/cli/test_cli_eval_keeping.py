"""What `watari eval run` and `watari sweep` keep around a stage: names of models, a folder that goes on, a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import Field

from tiny_llama import make_folder
from watari.artifact.kinds import Kind
from watari.artifact.manifest import read_manifest
from watari.artifact.outside import fingerprint
from watari.artifact.params import OutsidePath, StageParams
from watari.artifact.stage import Inputs, Progress, Stage, StageResult
from watari.cli.evaluation.keeping import EVALUATION, SWEEP, Maker, model_artifact, run_kept
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.endpoint.params import AskingParams


def test_a_model_is_called_as_its_folder_is_not_as_its_key_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = make_folder(tmp_path / "store" / "45efb522")
    stage = tmp_path / "stages" / "dpo"
    stage.parent.mkdir()
    stage.symlink_to(stored)
    assert model_artifact(stage).name == "dpo"
    assert model_artifact(stored).name == "45efb522"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(stored)
    assert model_artifact(Path()).name == "45efb522"
    assert model_artifact(Path("..") / "45efb522").name == "45efb522"


class Params(StageParams):
    """Of a stage that reads files."""

    questions: list[OutsidePath] = Field(default_factory=list)
    prompts: OutsidePath | None = None
    limit: int | None = None
    datasets: list[str] = Field(default_factory=list)
    judges: list[dict[str, str]] = Field(default_factory=list)


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    (out / "answers.txt").write_text("".join(Path(path).read_text() for path in params.questions))
    return StageResult()


STAGE = Stage(kind="toy.kept", version=1, output=Kind.SCORES, params=Params, run=run)


def keep(out: Path, maker: Maker, **given: Any) -> None:
    run_kept(STAGE, cast("AskingParams", Params(**given)), None, out, maker, quiet=True)


def test_the_manifest_names_the_files_that_were_read(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text("one")
    keep(tmp_path / "out", EVALUATION, questions=[str(file)])
    manifest = read_manifest(tmp_path / "out")
    assert manifest.outside == {str(file): fingerprint(str(file))}
    assert manifest.parameters["questions"] == [{"outside": fingerprint(str(file))}]


@pytest.mark.parametrize(
    ("maker", "noun"), [(EVALUATION, "evaluation"), (SWEEP, "sweep")], ids=["evaluation", "sweep"]
)
def test_what_differs_is_told_in_words(tmp_path: Path, maker: Maker, noun: str) -> None:
    a, b, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "out"
    a.write_text("one")
    b.write_text("two")
    given: dict[str, Any] = {
        "questions": [str(a), str(b)],
        "datasets": ["jnli", "jsts"],
        "judges": [{"model": "j"}],
    }
    keep(out, maker, **given)
    keep(out, maker, **given)  # the same goes on
    for other, told in [
        ({"limit": 3}, "limit is null there, 3 here"),
        ({"questions": [str(a), str(a)]}, r"questions \(2 of 2\) has other content"),
        ({"questions": [str(a)]}, "questions are 2 there, 1 here"),
        ({"prompts": str(a)}, "prompts is null there, given here"),
        ({"datasets": ["jnli"]}, r'datasets is \["jnli", "jsts"\] there, \["jnli"\] here'),
        ({"judges": [{"model": "k"}]}, r'judges.model is "j" there, "k" here'),
    ]:
        with pytest.raises(UserError, match=rf"out holds another {noun}: {told} \(give"):
            keep(out, maker, **{**given, **other})


def test_one_list_of_one_file_that_changed(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text("one")
    keep(tmp_path / "out", EVALUATION, questions=[str(file)])
    file.write_text("two")
    with pytest.raises(UserError, match=r"holds another evaluation: questions has other content \(give"):
        keep(tmp_path / "out", EVALUATION, questions=[str(file)])


def test_a_folder_of_another_command_is_told_apart(tmp_path: Path) -> None:
    keep(tmp_path / "out", SWEEP)
    with pytest.raises(UserError, match=r"out holds what `watari sweep` began \(give"):
        keep(tmp_path / "out", EVALUATION)
    (tmp_path / "out" / "run.json").write_text('{"made_by": "somebody"}')
    with pytest.raises(UserError, match=r"out holds something else \(give"):
        keep(tmp_path / "out", EVALUATION)
