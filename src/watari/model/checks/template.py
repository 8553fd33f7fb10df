"""Checks of the chat template: what it renders is what training had and what an engine can answer."""

from __future__ import annotations

from watari.errors import UserError
from watari.generate import templates
from watari.model.checks.patient import Check, Patient

_SYSTEM = {"role": "system", "content": "Answer as a botanist."}
_FIRST = {"role": "user", "content": "Which tree is the oldest?"}
_REPLY = {"role": "assistant", "content": "The bristlecone pine."}
_SECOND = {"role": "user", "content": "どこにありますか。"}
_LAST = {"role": "assistant", "content": "カリフォルニアです。"}

Messages = list[dict[str, str]]

CONVERSATIONS: dict[str, Messages] = {
    "one turn": [_FIRST, _REPLY],
    "two turns": [_FIRST, _REPLY, _SECOND, _LAST],
    "with a system prompt": [_SYSTEM, _FIRST, _REPLY],
}


def render(patient: Patient, messages: Messages, *, ask: bool = False) -> str | None:
    """Return the rendered conversation, or None if the template refuses it."""
    assert patient.tokenizer is not None
    try:
        return templates.render(patient.tokenizer, messages, generation_prompt=ask)
    except UserError:
        return None


def has_template(patient: Patient) -> bool:
    """True if there is a tokenizer with a chat template."""
    return patient.tokenizer is not None and bool(patient.tokenizer.chat_template)


def _encode(patient: Patient, text: str) -> list[int]:
    assert patient.tokenizer is not None
    return templates.encode_text(patient.tokenizer, text)


def present(patient: Patient) -> Check | None:
    """There is a chat template."""
    if patient.tokenizer is None:
        return None
    name, meaning = (
        "template.present",
        "engines build the prompt from it; without one a model only completes text",
    )
    if not has_template(patient):
        mend = "nothing for a base model; `train.sft` writes the template that it trains with"
        return Check(name, "warn", "no chat template: a base model", meaning, mend)
    return Check(name, "ok", f"{len(str(patient.tokenizer.chat_template))} characters", meaning)


def turns(patient: Patient) -> Check | None:
    """It renders one turn and several, with every word in its order."""
    if not has_template(patient):
        return None
    name, meaning = (
        "template.turns",
        "a turn that is refused or left out is a conversation that the model never sees",
    )
    for kind in ("one turn", "two turns"):
        messages = CONVERSATIONS[kind]
        text = render(patient, messages)
        if text is None:
            return Check(name, "fail", f"{kind}: the template raises an error", meaning, "mend the template")
        place = 0
        for message in messages:
            at = text.find(message["content"], place)
            if at < 0:
                found = f"{kind}: a text of the {message['role']} is missing or out of order"
                return Check(name, "fail", found, meaning, "mend the template")
            place = at + len(message["content"])
    return Check(name, "ok", "one turn and two turns, every text in its order", meaning)


def system(patient: Patient) -> Check | None:
    """It takes a system prompt, or says openly that it does not."""
    if not has_template(patient):
        return None
    name, meaning = (
        "template.system",
        "a system prompt that is dropped without a word looks like a disobedient model",
    )
    text = render(patient, CONVERSATIONS["with a system prompt"])
    if text is None:
        return Check(
            name,
            "warn",
            "the template refuses a system prompt",
            meaning,
            "put it into the first question instead",
        )
    if _SYSTEM["content"] not in text:
        return Check(name, "fail", "the system prompt is dropped silently", meaning, "mend the template")
    return Check(name, "ok", "with and without a system prompt", meaning)


def bos(patient: Patient) -> Check | None:
    """A rendered conversation starts with BOS, and never has two in a row."""
    tokenizer = patient.tokenizer
    if tokenizer is None or not has_template(patient):
        return None
    name = "template.bos"
    meaning = "the template's text is encoded without special tokens: BOS must stand in it, once, where training had it"
    bos_id = tokenizer.bos_token_id
    if bos_id is None:
        return Check(name, "ok", "the tokenizer has no BOS", meaning)
    plain_has_bos = list(tokenizer.encode("a"))[:1] == [bos_id]
    starts = 0
    for kind, messages in CONVERSATIONS.items():
        text = render(patient, messages)
        if text is None:
            continue
        tokens = _encode(patient, text)
        if tokens[:1] == [bos_id]:
            starts += 1
        elif plain_has_bos or starts:
            mend = "begin the template with {{ bos_token }}"
            return Check(name, "fail", f"{kind}: no {tokenizer.bos_token} at the start", meaning, mend)
        again = [at for at, token in enumerate(tokens) if token == bos_id and at]
        if any(tokens[at - 1] not in patient.end_ids for at in again):
            mend = "write {{ bos_token }} once, at the start (or after each {{ eos_token }})"
            return Check(name, "fail", f"{kind}: {tokenizer.bos_token} is doubled", meaning, mend)
    if not starts:
        return Check(name, "ok", "no BOS, neither here nor on a plain text", meaning)
    return Check(name, "ok", f"{tokenizer.bos_token} once; encode with add_special_tokens=False", meaning)


def prompt(patient: Patient) -> Check | None:
    """The prompt for an answer ends where the answer's own text begins."""
    if not has_template(patient):
        return None
    name = "template.prompt"
    meaning = (
        "without the header of its turn the model writes the header itself, or goes on with the question"
    )
    for kind, messages in CONVERSATIONS.items():
        asked, whole = render(patient, messages[:-1], ask=True), render(patient, messages)
        if asked is None or whole is None or not whole.startswith(asked):
            continue  # other checks tell
        gap = whole[len(asked) : whole.find(messages[-1]["content"], len(asked))]
        if gap.strip():
            found = f"{kind}: add_generation_prompt leaves out {gap.strip()!r}"
            mend = "write the header of the assistant's turn where add_generation_prompt is true"
            return Check(name, "fail", found, meaning, mend)
    return Check(name, "ok", "it ends where the answer begins", meaning)


def prefix(patient: Patient) -> Check | None:
    """The prompt at answering time is the start of the conversation at training time, in tokens too."""
    if not has_template(patient):
        return None
    name = "template.prefix"
    meaning = (
        "training sees the whole conversation, answering the prompt: where they part, the model is elsewhere"
    )
    mend = (
        "render the same text before an answer whether it is asked for or there; no blank at the prompt's end"
    )
    for kind, messages in CONVERSATIONS.items():
        asked, whole = render(patient, messages[:-1], ask=True), render(patient, messages)
        if asked is None or whole is None:
            continue
        if not whole.startswith(asked):
            at = next((i for i, (a, b) in enumerate(zip(asked, whole, strict=False)) if a != b), len(whole))
            found = (
                f"{kind}: the prompt differs from the conversation at character {at}: {asked[at : at + 20]!r}"
            )
            return Check(name, "fail", found, meaning, mend)
        tokens = _encode(patient, asked)
        if _encode(patient, whole)[: len(tokens)] != tokens:
            found = f"{kind}: same text, other tokens at the end of the prompt ({asked[-12:]!r})"
            return Check(name, "fail", found, meaning, mend)
    return Check(name, "ok", "the prompt is a prefix of the conversation, in text and in tokens", meaning)


def eos(patient: Patient) -> Check | None:
    """Every answer in the template ends with an id at which engines stop."""
    if not has_template(patient):
        return None
    name, meaning = "template.eos", "the model can only stop with a token that training put after its answers"
    turn_end = end_of_turn(patient, CONVERSATIONS["one turn"])
    if turn_end is None or turn_end not in patient.end_ids:
        token = "nothing" if turn_end is None else repr(_token(patient, turn_end))
        mend = "end the assistant's turn with {{ eos_token }}"
        return Check(name, "fail", f"an answer ends with {token}, which is no end token", meaning, mend)
    return Check(name, "ok", f"an answer ends with {_token(patient, turn_end)}", meaning)


def end_of_turn(patient: Patient, messages: Messages) -> int | None:
    """Return the last token of a rendered conversation that is not blank."""
    text = render(patient, messages)
    if text is None or patient.tokenizer is None:
        return None
    for token in reversed(_encode(patient, text)):
        if str(patient.tokenizer.decode([token])).strip():
            return token
    return None


def _token(patient: Patient, token: int) -> str:
    assert patient.tokenizer is not None
    return str(patient.tokenizer.convert_ids_to_tokens(token))
