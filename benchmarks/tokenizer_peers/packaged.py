"""Real tokenizers that packages carry, for one table."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watari.tokenizer.encoder import Encoder
from watari.tokenizer.foreign import open_foreign
from watari.tokenizer.opening import locate

_CARRIED = (
    # name, package, path inside it, how a rank file cuts words
    ("cl100k", "litellm", "litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "cl100k"),
    ("o200k", "litellm", "litellm_core_utils/tokenizers/fb374d419588a4632f3f557e76b4b70aebbca790", "o200k"),
    ("Claude 2", "litellm", "litellm_core_utils/tokenizers/anthropic_tokenizer.json", None),
    ("DeepSeek", "litellm", "litellm_core_utils/tokenizers/deepseek_tokenizer.json", None),
    ("Qwen", "dashscope", "resources/qwen.tiktoken", "qwen"),
)


@dataclass(frozen=True)
class Packaged:
    """One tokenizer.

    Args:
        name: How people know it.
        origin: Package and version.
        encoder: Itself.
    """

    name: str
    origin: str
    encoder: Encoder


def packaged(wheels: Path | None, llama: Path | None, scratch: Path) -> Iterator[Packaged | str]:
    """Yield every tokenizer that is at hand, and the name of each that is not.

    Args:
        wheels: A folder of wheel files that need not be installed.
        llama: Llama 2's tokenizer.model.
        scratch: A folder for files out of wheels.
    """
    origin = f"mistral-common {importlib.metadata.version('mistral-common')}"
    for name, source in (("Mistral v0.1", "mistral-v1"), ("Mistral v0.3", "mistral-v3")):
        yield Packaged(name, origin, open_foreign(locate(source), name))
    from watari.tokenizer.opening import open_base

    yield Packaged("tekken", origin, open_base("tekken"))
    if llama is not None and llama.is_file():
        yield Packaged("Llama 2", "llama2.c's tokenizer.model", open_foreign(llama, "Llama 2"))
    else:
        yield "Llama 2"
    for name, package, inside, pattern in _CARRIED:
        found = _installed(package, inside) or _from_wheel(wheels, package, inside, scratch)
        if found is None:
            yield f"{name} ({package})"
        else:
            path, carried_by = found
            yield Packaged(name, carried_by, open_foreign(path, name, pattern=pattern))


def _installed(package: str, inside: str) -> tuple[Path, str] | None:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / inside
    return (path, f"{package} {importlib.metadata.version(package)}") if path.is_file() else None


def _from_wheel(wheels: Path | None, package: str, inside: str, scratch: Path) -> tuple[Path, str] | None:
    for wheel in sorted(wheels.glob(f"{package}-*.whl")) if wheels is not None else ():
        with zipfile.ZipFile(wheel) as archive:
            if f"{package}/{inside}" in archive.namelist():
                path = scratch / Path(inside).name
                path.write_bytes(archive.read(f"{package}/{inside}"))
                return path, f"{package} {wheel.name.split('-')[1]}"
    return None
