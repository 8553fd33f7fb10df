"""What a judge of two answers is asked with, by language; every wording has a version."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, ValidationError

from watari.artifact.hashing import hash_json
from watari.errors import UserError

BASE = "en"
"""What there is for every language."""
_FIELDS = ("conversation", "answer_a", "answer_b")


class JudgeTexts(BaseModel):
    """What a judge is asked with.

    Args:
        language: That the words are in.
        version: Hash of the words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    language: str
    system: str
    request: str
    request_json: str
    roles: dict[str, str]
    version: str


@cache
def judge_texts(language: str) -> JudgeTexts:
    """Return the wording for answers in a language; English where a language has none of its own.

    Raises:
        UserError: if its file is broken.
    """
    import yaml

    folder = resources.files("watari.languages") / "prompts"
    code = language if (folder / f"judge-{language}.yaml").is_file() else BASE
    file = folder / f"judge-{code}.yaml"
    content = yaml.safe_load(file.read_text("utf-8"))
    try:
        texts = JudgeTexts(**content, language=code, version=hash_json(content)[:12])
    except (ValidationError, TypeError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UserError(f"languages/prompts/{file.name}: {said}") from None
    for name in ("request", "request_json"):
        for field in _FIELDS:
            if getattr(texts, name).count(f"{{{field}}}") != 1:
                raise UserError(f"languages/prompts/{file.name}: {name}: wants {{{field}}} once")
    return texts


def judge_versions(languages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the wordings that answers in some languages are judged with, as a dataset card names them."""
    texts = [judge_texts(language) for language in languages]
    return {f"judge-{one.language}": one.version for one in texts}
