"""Ask every invariant of a pair of tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from watari.artifact.stage import Progress, Silent, stop_if_asked
from watari.pretrained.sentencepiece import SpmModel
from watari.tokenizer.encoder import Encoder
from watari.tokenizer.opening import locate, open_encoder
from watari.tokenizer.script import Script, script_of
from watari.tokenizer.texts import Text, read_texts
from watari.tokenizer.verify import entries, surroundings
from watari.tokenizer.verify.asking import Agreement, Coarsening, Question, RoundTrip, Unchanged
from watari.tokenizer.verify.forms import forms_of
from watari.tokenizer.verify.script import find_script
from watari.tokenizer.verify.sheet import Asked, Result, Sheet, Side
from watari.tokenizer.verify.strings import fuzz_strings
from watari.tokenizer.verify.structure import Structure, completed, read_structure
from watari.tokenizer.verify.subject import Batch, Half, Subject

FUZZ = 20_000
REFERENCE_LINES = 20_000
BATCH = 1 << 20
"""Characters encoded at once; a longer document is a batch of its own."""
_SAMPLE = 4_000
"""Tokens, new and old each, whose texts fuzz strings are pieced together from."""

OF_FILES: tuple[Callable[[Subject], Result], ...] = (
    entries.base_bytes,
    entries.base_scores,
    entries.base_merges,
    surroundings.special_tokens,
    surroundings.pipeline,
    surroundings.post_processor,
    surroundings.chat_template,
    entries.ranked_below,
    entries.strict_pieces,
    entries.model_pieces,
    entries.reachable,
)
"""Invariants that need no text, in the order of the sheet."""


def verify(
    base: Encoder,
    extended: Encoder,
    texts: Sequence[Text],
    *,
    script: Script | None = None,
    fuzz: int = FUZZ,
    seed: int = 0,
    reference: int = REFERENCE_LINES,
    base_files: Path | None = None,
    extended_files: Path | None = None,
    progress: Progress | None = None,
) -> Sheet:
    """Return a sheet with one result an invariant. Same inputs and seed, same sheet.

    Args:
        base: The base.
        extended: The extended tokenizer.
        texts: Documents; none leaves the fuzz strings.
        script: The target script; default: that of graft.json's language, else of the new tokens.
        fuzz: Number of fuzz strings.
        seed: Of the fuzz strings and of the sample of lines.
        reference: Number of lines that our slow reference encoders are asked; they are drawn over all documents.
        base_files: Folder or file of the base, for what an encoder does not tell (scores, merges, special tokens).
        extended_files: That of the extended tokenizer. Every other form in the folder must agree with `extended`.
        progress: Told how far the work is, in characters.

    Raises:
        UserError: if no script is given and none can be told.
    """
    progress = progress or Silent()
    before = Half(base, completed(read_structure(base_files, base), base))
    after = Half(extended, completed(read_structure(extended_files, extended), extended))
    fresh = _texts(after, range(len(before), len(after)))
    source = "given"
    if script is None:
        folder = (
            extended_files if extended_files is None or extended_files.is_dir() else extended_files.parent
        )
        script, source = find_script(folder, fresh)
    subject = Subject(before, after, script)
    results = [check(subject) for check in OF_FILES]

    forms = forms_of(after.files, _model(extended))
    quick = [Agreement(subject, form) for form in forms if not form.sampled]
    sampled = [Agreement(subject, form) for form in forms if form.sampled]
    questions: list[Question] = [Unchanged(subject), Coarsening(subject), RoundTrip(subject), *quick]
    markers = [
        token.content
        for token in (*before.files.added.values(), *after.files.added.values())
        if token.special
    ]
    strings = list(
        fuzz_strings(
            fuzz, seed, script, _spread(fresh) + _spread(_texts(before, range(len(before)))), markers
        )
    )
    used = np.zeros(len(after), dtype=bool)
    total = sum(len(item.text) for item in texts)
    done = 0
    for batch in _batches(subject, texts, strings):
        stop_if_asked(progress)
        for question in questions:
            question.ask(batch)
        if not batch.fuzz:
            for ids in batch.extended:
                used[ids] = True
            done += sum(map(len, batch.texts))
        progress.update(done, total, unit="characters", note="fuzz strings" if batch.fuzz else "documents")
    lines = _lines(texts, reference)
    progress.update(done, total, unit="characters", note="reference encoders")
    for batch in _batches(subject, lines, strings[:reference]):
        for question in sampled:
            question.ask(batch)
    results += [question.result() for question in (*questions, *sampled)]
    return Sheet(
        base=Side(base.name, len(before), before.digest),
        extended=Side(extended.name, len(after), after.digest),
        script=script,
        script_from=source,
        asked=Asked(len(texts), total, fuzz, len(lines), seed),
        used=int(used[len(before) :].sum()),
        results=tuple(results),
    )


def verify_command(
    base: str,
    extended: str,
    files: Sequence[str] = (),
    *,
    field: str = "text",
    script: str | None = None,
    fuzz: int = FUZZ,
    seed: int = 0,
    reference: int = REFERENCE_LINES,
    progress: Progress | None = None,
) -> Sheet:
    """Return the sheet of `watari tokenizer verify BASE EXTENDED --text FILE…`.

    Args:
        base: A name, folder or file, see `watari.tokenizer.opening.locate`.
        extended: Likewise; every form of a folder is compared.
        files: Texts, see `read_texts`; none: fuzz strings only.
        field: The column that holds the text.
        script: Language of the target script; default: see `verify`.
        fuzz: Number of fuzz strings.
        seed: Their seed.
        reference: Lines for the slow reference encoders.
        progress: Told how far the work is.

    Raises:
        UserError: if something cannot be read.
    """
    texts = read_texts(files, field=field) if files else []
    return verify(
        open_encoder(_leading(base), name=base),
        open_encoder(_leading(extended), name=extended),
        texts,
        script=None if script is None else script_of(script),
        fuzz=fuzz,
        seed=seed,
        reference=reference,
        base_files=_files(base),
        extended_files=_files(extended),
        progress=progress,
    )


def _files(source: str) -> Path:
    path = Path(source)
    return path if path.is_dir() else locate(source)


def _leading(source: str) -> str:
    """Return the form that stands for a folder: the one with most ids, tokenizer.model before tokenizer.json.

    `add_tokens` leaves the old tokenizer.model beside a longer tokenizer.json, and it is the latter that people load.
    """
    files = read_structure(Path(source)) if Path(source).is_dir() else Structure()
    if files.spm is None or files.fast is None:
        return source
    highest = max([*files.vocabulary.values(), *files.added])
    return str(Path(source) / "tokenizer.json") if highest >= len(files.spm) else source


def _model(encoder: Encoder) -> SpmModel | None:
    model = getattr(encoder, "model", None)
    return model if isinstance(model, SpmModel) else None


def _texts(half: Half, indices: range) -> list[str]:
    """Return the texts of the tokens that are text by themselves, special ones left out."""
    found = []
    for index in indices:
        added = half.files.added.get(index)
        if half.surfaces[index] is None and (added is None or added.special):
            continue
        try:
            found.append(half.spelled(index).decode("utf-8"))
        except UnicodeDecodeError:
            continue
    return [text for text in found if text]


def _spread(items: list[str]) -> list[str]:
    """Return at most `_SAMPLE` of them, evenly over the list."""
    return items[:: -(-len(items) // _SAMPLE)] if items else []


def _lines(texts: Sequence[Text], wanted: int) -> list[Text]:
    """Return up to `wanted` lines, evenly over all documents."""
    lines = [
        Text(f"{item.id}:{number}", line)
        for item in texts
        for number, line in enumerate(item.text.split("\n"), start=1)
        if line
    ]
    if len(lines) <= wanted:
        return lines
    return [lines[number * len(lines) // wanted] for number in range(wanted)]


def _batches(subject: Subject, texts: Sequence[Text], strings: Sequence[str]) -> Iterator[Batch]:
    """Yield documents, then fuzz strings, as both tokenizers encode them."""
    documents = [(item.text, item.id) for item in texts]
    fuzz = [(text, f"fuzz {number}") for number, text in enumerate(strings)]
    for items, is_fuzz in ((documents, False), (fuzz, True)):
        part: list[tuple[str, str]] = []
        size = 0
        for item in items:
            if part and size + len(item[0]) > BATCH:
                yield _encoded(subject, part, is_fuzz)
                part, size = [], 0
            part.append(item)
            size += len(item[0])
        if part:
            yield _encoded(subject, part, is_fuzz)


def _encoded(subject: Subject, items: Sequence[tuple[str, str]], fuzz: bool) -> Batch:
    texts = [text for text, _ in items]
    return Batch(
        texts,
        [name for _, name in items],
        subject.base.encoder.encode(texts),
        subject.extended.encoder.encode(texts),
        fuzz,
    )
