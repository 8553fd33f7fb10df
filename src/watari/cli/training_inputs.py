"""Files and folders that a person names as the inputs of a training stage, which takes artifacts.

What is an artifact already is taken as it is; rows are brought into the house's schemas by `data.import`, documents for
pre-training are packed by `tokens.pack`: the same code as in a recipe. What had to be made lies below `work/` of the run's
folder, so that a run that goes on finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.hashing import hash_file, hash_json
from watari.artifact.kinds import Kind
from watari.artifact.manifest import MANIFEST, Manifest, now, read_manifest
from watari.artifact.params import Selection
from watari.artifact.rows import row_files
from watari.artifact.stage import InputArtifact, Inputs, Progress
from watari.errors import UserError

_SMALL = 16 << 20
_FORMS = (
    ("messages", ("messages",)),
    ("preferences", ("chosen", "rejected")),
    ("sharegpt", ("conversations",)),
    ("alpaca", ("instruction", "output")),
    ("documents", ("text",)),
)
"""Forms of rows and the columns by which the first row shows its form, the surest first."""
_KINDS = {
    "messages": Kind.CONVERSATIONS,
    "sharegpt": Kind.CONVERSATIONS,
    "alpaca": Kind.CONVERSATIONS,
    "preferences": Kind.PREFERENCES,
    "documents": Kind.DOCUMENTS,
}


def model_input(name: str, path: Path) -> InputArtifact:
    """Return a model's folder as an input.

    Raises:
        UserError: if it is none.
    """
    from watari.pretrained import check_model_folder, find_model

    folder = find_model(path)
    check_model_folder(folder)
    return as_input(name, folder, Kind.MODEL)


def data_inputs(
    parameter: str, places: Sequence[str], kind: Kind, work: Path, progress: Progress, *, model: InputArtifact
) -> list[InputArtifact]:
    """Return files or folders as inputs of one kind, made ready below `work` where they are not.

    Args:
        parameter: The parameter that takes them, for names and messages.
        places: Artifacts, folders of packed tokens, or files of rows.
        kind: What the parameter wants.
        work: Where to put what must be made.
        progress: Told of it.
        model: Whose tokenizer packs documents.

    Raises:
        UserError: naming the first that is missing or of another kind.
    """
    found = []
    for number, place in enumerate(places):
        name = Path(place).name.split(".")[0] or parameter
        path = Path(place)
        here = work / f"{parameter}-{number}"
        if kind is Kind.TOKENS and (path / "tokens.idx").is_file():
            found.append(as_input(name, path, Kind.TOKENS))
            continue
        rows_kind = Kind.DOCUMENTS if kind is Kind.TOKENS else kind
        rows = _rows(parameter, name, place, rows_kind, here / "rows", progress)
        found.append(_packed(name, rows, here / "tokens", progress, model) if kind is Kind.TOKENS else rows)
    return found


def _rows(parameter: str, name: str, place: str, kind: Kind, here: Path, progress: Progress) -> InputArtifact:
    """Return rows of a kind: an artifact, or what importing the files gives."""
    from watari.data import importing

    path = Path(place)
    if path.is_dir() and row_files(path) and (path / MANIFEST).is_file():
        artifact = as_input(name, path, kind)
        if artifact.manifest.kind is not kind:
            raise UserError(f"--{parameter}: {place} holds {artifact.manifest.kind.value}, not {kind.value}")
        return artifact
    form = _form(parameter, place)
    if _KINDS[form] is not kind:
        raise UserError(f"--{parameter}: {place} holds {_KINDS[form].value}, not {kind.value}")
    params = importing.Params(path=place, format=form, on_error="drop")  # type: ignore[arg-type]
    if not _is_made(here):
        with_room = _fresh(here)
        progress.update(0, None, note=f"reading {name}")
        result = importing.run(params, Inputs(), with_room, progress)
        if result.metrics["dropped"]:
            reasons = ", ".join(
                f"{n:,} {reason}" for reason, n in result.metrics["dropped_by_reason"].items()
            )
            progress.log(
                f"{place}: {result.metrics['dropped']:,} of {result.metrics['rows_in']:,} rows left out: {reasons}"
            )
        _publish(with_room, here)
    return as_input(name, here, kind)


def _form(parameter: str, place: str) -> str:
    """Return the form that the first row of some files shows."""
    from watari.artifact.reading import ReadOptions, read_records
    from watari.artifact.records import Fault

    for record in islice(read_records(place, ReadOptions()), 1):
        if isinstance(record, Fault):
            raise UserError(f"--{parameter}: {record}")
        for form, columns in _FORMS:
            if all(column in record.row for column in columns):
                return form
        raise UserError(
            f"--{parameter}: {place}: the first row has none of the known forms; its columns: {', '.join(record.row)}",
            "wanted: messages; prompt, chosen and rejected; conversations; instruction and output; or text",
        )
    raise UserError(f"--{parameter}: {place}: holds no rows")


def _packed(
    name: str, documents: InputArtifact, here: Path, progress: Progress, model: InputArtifact
) -> InputArtifact:
    from watari.corpus import pack

    if not _is_made(here):
        with_room = _fresh(here)
        progress.update(0, None, note=f"packing {name}")
        params = pack.Params(documents=[_whole(documents.name)], tokenizer=_whole(model.name))
        pack.run(params, Inputs({"documents": [documents], "tokenizer": [model]}), with_room, progress)
        _publish(with_room, here)
    return as_input(name, here, Kind.TOKENS)


def _fresh(here: Path) -> Path:
    temporary = here.with_name(f".{here.name}")
    if temporary.exists():
        atomic.remove_tree(temporary)
    temporary.mkdir(parents=True)
    return temporary


def _publish(temporary: Path, here: Path) -> None:
    if (temporary / "work").is_dir():
        atomic.remove_tree(temporary / "work")
    atomic.publish_folder(temporary, here)


def _is_made(here: Path) -> bool:
    return here.is_dir()


def as_input(name: str, folder: Path, kind: Kind) -> InputArtifact:
    """Return a folder as an input: with its own manifest if it has one, else with one that says where it is from."""
    if (folder / MANIFEST).is_file():
        manifest = read_manifest(folder)
    else:
        manifest = Manifest(
            kind=kind,
            uses="outside",
            stage_version=0,
            key="",
            digest=fingerprint(folder),
            parameters={},
            files=[],
            started=now(),
            finished=now(),
            seconds=0.0,
        )
    return InputArtifact(name, folder, manifest, _whole(name))


def _whole(name: str) -> Selection:
    """Return the selection of everything in an artifact."""
    return Selection.model_validate({"from": name})


def fingerprint(folder: Path) -> str:
    """Return what stands for a folder's content: names and sizes, and the bytes of small files.

    Weights of many gigabytes are not read: this only tells a run that goes on from one that was given other inputs.
    """
    found: list[list[object]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        found.append([path.relative_to(folder).as_posix(), size, hash_file(path) if size < _SMALL else ""])
    return hash_json(found)
