"""Which model folder a person means: a folder, an artifact, a stage of a run; or what to say if none."""

from __future__ import annotations

from pathlib import Path

from watari.errors import UserError


def find_model(path: Path) -> Path:
    """Return the model folder that `path` names.

    Args:
        path: A Hugging Face folder, an artifact of a run or a store, or `RUN/stages/STAGE`.

    Raises:
        UserError: if there is none; for a run's folder it names the stages that made models.
    """
    if not path.exists():
        if path.is_symlink():
            raise UserError(f"{path}: its artifact is gone from the store", "run the recipe again")
        mend = "give the path of a model folder"
        if path.parent.name == "stages" and (stages := model_stages(path.parent.parent)):
            mend = f"stages with a model: {', '.join(stages)}"
        raise UserError(f"{path}: no such folder", mend)
    if not path.is_dir():
        raise UserError(f"{path}: a file, not a model folder", "give the folder that holds config.json")
    if (path / "config.json").is_file():
        return path
    run = path.parent if path.name == "stages" else path
    if (run / "stages").is_dir():
        stages = model_stages(run)
        if not stages:
            raise UserError(
                f"{run}: a run without a finished model", "let `watari run` go on, or give a model folder"
            )
        raise UserError(
            f"{run}: a run, not a model",
            f"give one of its models: {', '.join(str(run / 'stages' / stage) for stage in stages)}",
        )
    raise UserError(f"{path}: no config.json: not a model folder")


def model_stages(run: Path) -> list[str]:
    """Return the names of a run's finished stages that made a model, in the order in which they were finished."""
    found = (
        [path for path in (run / "stages").iterdir() if (path / "config.json").is_file()]
        if (run / "stages").is_dir()
        else []
    )
    return [path.name for path in sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name))]
