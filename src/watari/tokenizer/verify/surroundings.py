"""I4 for what stands around the model: special tokens, the steps before and behind it, the chat template."""

from __future__ import annotations

import json
from typing import Any

from watari.pretrained.sentencepiece import SPACE
from watari.tokenizer.verify.sheet import CounterExample, Result
from watari.tokenizer.verify.subject import Subject

_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
_STEPS = ("normalizer", "pre_tokenizer", "decoder")
_SPM = ("model_type", "byte_fallback", "add_dummy_prefix", "plain")


def special_tokens(subject: Subject) -> Result:
    """The base's special and added tokens keep their ids, their text and their flags, in every file."""
    title = "special and added tokens keep ids, text and flags"
    before, after = subject.base.files, subject.extended.files
    if not before.added or not after.added:
        return _unasked("special-tokens", title, "not both files tell of special tokens")
    faults: list[CounterExample] = []
    for index, token in before.added.items():
        now = after.added.get(index)
        if now != token:
            faults.append(
                CounterExample(token.content, (token.content,), (now.content,) if now else (), index)
            )
    flags = {token["id"]: token for token in (after.fast or {}).get("added_tokens", [])}
    for token in (before.fast or {}).get("added_tokens", []) if after.fast is not None else ():
        if token["id"] in flags and flags[token["id"]] != token:
            old, new = json.dumps(token), json.dumps(flags[token["id"]])
            faults.append(CounterExample(token["content"], (old,), (new,), token["id"]))
    cases = len(before.added)
    if before.config and after.config:
        for name in _NAMES:
            old, new = _name(before.config.get(name)), _name(after.config.get(name))
            cases += 1
            if name in before.config and old != new:
                faults.append(CounterExample(name, (str(old),), (str(new),), 0))
    for index, loaded in _renumbered(subject):
        name = after.added[index].content
        faults.append(CounterExample(name, (name,), (loaded,), index, "", ("written", "loaded")))
    fresh = [token.content for index, token in after.added.items() if index not in before.added]
    note = f"{len(fresh):,} more in the extended one, the first {fresh[0]!r}" if fresh else ""
    return Result("special-tokens", "I4", title, not faults, cases, len(faults), _first(faults), note)


def pipeline(subject: Subject) -> Result:
    """Normaliser, pre-tokenizer and decoder are the base's, or do the same in other words."""
    title = "normaliser, pre-tokenizer and decoder are untouched"
    before, after = subject.base.files, subject.extended.files
    faults: list[CounterExample] = []
    told: list[str] = []
    cases = 0
    if before.spm is not None and after.spm is not None:
        for name in _SPM:
            old, new = getattr(before.spm, name), getattr(after.spm, name)
            cases += 1
            if old != new:
                faults.append(CounterExample(name, (str(old),), (str(new),), 0))
    if before.fast is not None and after.fast is not None:
        same_words = _blanks(before.fast) is not None and _blanks(before.fast) == _blanks(after.fast)
        for name in _STEPS:
            old, new = _flat(before.fast.get(name)), _flat(after.fast.get(name))
            cases += 1
            if old == new:
                continue
            if same_words and name != "decoder":
                told.append(f"{name} written in another way: {_short(old)} is now {_short(new)}")
            else:
                faults.append(CounterExample(name, (_short(old),), (_short(new),), 0))
    if not cases:
        return _unasked("pipeline", title, "the two have no form of file in common")
    return Result("pipeline", "I4", title, not faults, cases, len(faults), _first(faults), "; ".join(told))


def post_processor(subject: Subject) -> Result:
    """What is put around a text (BOS, EOS) is what the base puts around it."""
    title = "what is put around a text (BOS, EOS) is the base's"
    before, after = subject.base.files.fast, subject.extended.files.fast
    if before is None or after is None:
        return _unasked("post-processor", title, "not both have a tokenizer.json")
    old, new = _flat(before.get("post_processor")), _flat(after.get("post_processor"))
    faults = [] if old == new else [CounterExample("post_processor", (_short(old),), (_short(new),), 0)]
    return Result("post-processor", "I4", title, not faults, 1, len(faults), _first(faults))


def chat_template(subject: Subject) -> Result:
    """The chat template is the base's; one where the base has none is told."""
    title = "the chat template is the base's"
    before, after = subject.base.files, subject.extended.files
    if before.template is None:
        note = (
            "the base has none; the extended one brings one"
            if after.template is not None
            else "there is none"
        )
        return _unasked("chat-template", title, note)
    same = before.template == after.template
    faults = [] if same else [CounterExample("chat_template", (before.template,), (after.template or "",), 0)]
    return Result("chat-template", "I4", title, same, 1, len(faults), _first(faults))


def _renumbered(subject: Subject) -> list[tuple[int, str]]:
    """Return (id, what stands there) where the extended file's special tokens load under other ids than written.

    `tokenizers` numbers an added token anew, behind the model's last entry, unless the model's vocabulary holds it or
    its id is just that: pieces behind a base's special tokens then push those away.
    """
    files = subject.extended.files
    if files.fast is None or files.fast_file is None:
        return []
    try:
        tokenizer = files.library
    except Exception:
        # A file that does not load is told by the check of that form.
        return []
    loaded = {index: token.content for index, token in tokenizer.get_added_tokens_decoder().items()}
    written = {int(token["id"]): token["content"] for token in files.fast.get("added_tokens", [])}
    return [
        (index, loaded.get(index, "nothing")) for index, text in written.items() if loaded.get(index) != text
    ]


def _name(value: Any) -> Any:
    """Return a special token as its text: configs hold it as a string or as a table."""
    return value.get("content") if isinstance(value, dict) else value


def _flat(step: dict[str, Any] | None) -> Any:
    """Return a step with sequences inside sequences laid out, and those of one step as that step."""
    if step is None:
        return None
    inner = next(
        (step[key] for key in ("normalizers", "pretokenizers", "decoders", "processors") if key in step), None
    )
    if inner is None:
        return step
    steps: list[Any] = []
    for part in inner:
        flat = _flat(part)
        steps += flat if isinstance(flat, list) else [flat]
    return steps[0] if len(steps) == 1 else steps


def _blanks(content: dict[str, Any]) -> bool | None:
    """Return whether a blank is put in front, for a file that writes blanks as U+2581 and does no more.

    Older files do it in the normaliser (Prepend, Replace), newer ones in the pre-tokenizer (Metaspace).
    """
    normaliser, words = _flat(content.get("normalizer")), _flat(content.get("pre_tokenizer"))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepend = {"type": "Prepend", "prepend": SPACE}
    if words is None and normaliser in (replace, [prepend, replace]):
        return isinstance(normaliser, list)
    plain = isinstance(words, dict) and words.get("type") == "Metaspace" and words.get("split") is False
    if normaliser is None and plain and words.get("replacement") == SPACE:
        return bool(words.get("prepend_scheme") in ("always", "first"))
    return None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else text[:400] + " …"


def _first(faults: list[CounterExample]) -> CounterExample | None:
    return faults[0] if faults else None


def _unasked(name: str, title: str, reason: str) -> Result:
    return Result(name, "I4", title, None, 0, 0, None, reason)
