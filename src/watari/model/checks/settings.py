"""Checks of generation_config.json and of the context length."""

from __future__ import annotations

from watari.errors import UserError
from watari.generate.sampler import Sampler
from watari.model.checks.patient import Check, Patient, ids
from watari.model.checks.template import CONVERSATIONS, end_of_turn, has_template

_SAMPLING = ("temperature", "top_p", "top_k", "min_p")
_NO_LIMIT = 10**9


def config(patient: Patient) -> Check:
    """Transformers knows the architecture and accepts its settings, without code from the folder."""
    name, meaning = (
        "config.loads",
        "a config that transformers refuses loads nowhere; code from a folder is never run",
    )
    architecture = patient.architecture
    if architecture is None:
        return Check(name, "fail", patient.config_problem, meaning, "mend config.json")
    return Check(name, "ok", str(architecture.model_type), meaning)


def eos(patient: Patient) -> Check | None:
    """Engines stop at the tokens that end an answer."""
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return None
    name, meaning = "generation.eos", "engines stop at the ids of generation_config.json and at nothing else"
    said = ids(patient.generation.get("eos_token_id"))
    wanted = {tokenizer.eos_token_id} - {None}
    if has_template(patient):
        turn_end = end_of_turn(patient, CONVERSATIONS["one turn"])
        wanted |= {turn_end} & patient.end_ids
    mend = f'set "eos_token_id": {sorted(wanted)} in generation_config.json'
    if not (patient.folder / "generation_config.json").is_file():
        return Check(
            name, "warn", "no generation_config.json: engines fall back to config.json", meaning, mend
        )
    outside = [token for token in said if not 0 <= token < (patient.rows or token + 1)]
    if outside:
        return Check(name, "fail", f"end ids without a row: {outside}", meaning, mend)
    missing = sorted(wanted - set(said))
    if missing:
        names = ", ".join(f"{token} {tokenizer.convert_ids_to_tokens(token)!r}" for token in missing)
        return Check(name, "fail", f"missing among the end ids {said}: {names}", meaning, mend)
    return Check(
        name, "ok", f"stops at {', '.join(str(t) for t in tokenizer.convert_ids_to_tokens(said))}", meaning
    )


def sampling(patient: Patient) -> Check:
    """The sampling settings are possible and have an effect."""
    name = "generation.sampling"
    meaning = "settings without do_sample are ignored (transformers warns); impossible ones stop an engine"
    settings = patient.generation
    given = {
        key: settings[key] for key in (*_SAMPLING, "repetition_penalty") if settings.get(key) is not None
    }
    try:
        Sampler().with_generation_config(settings)
    except UserError as error:
        return Check(name, "fail", error.message, meaning, "write a possible value")
    if settings.get("do_sample") and given.get("temperature") == 0:
        found = "do_sample with temperature 0, which transformers refuses"
        return Check(name, "fail", found, meaning, 'set "do_sample": false, or a temperature above 0')
    idle = [key for key in _SAMPLING if key in given]
    if idle and not settings.get("do_sample"):
        found = f"{', '.join(idle)} set, but do_sample is not"
        return Check(name, "warn", found, meaning, 'set "do_sample": true in generation_config.json')
    listed = (
        ", ".join(f"{key} {value}" for key, value in given.items()) or "nothing set: the engine's defaults"
    )
    return Check(name, "ok", listed, meaning)


def context(patient: Patient) -> Check:
    """The context is known, and the tokenizer does not promise more."""
    name = "context"
    meaning = (
        "beyond it positions were never trained; a tokenizer that allows more lets prompts through that break"
    )
    positions = patient.setting("max_position_embeddings") or patient.setting("n_positions")
    if not isinstance(positions, int) or positions <= 0:
        mend = 'set "max_position_embeddings" in config.json'
        return Check(name, "warn", "config.json names no context length", meaning, mend)
    allowed = patient.tokenizer.model_max_length if patient.tokenizer is not None else _NO_LIMIT
    if positions < allowed < _NO_LIMIT:
        found = f"{positions} positions, but the tokenizer allows {allowed} tokens"
        return Check(
            name, "warn", found, meaning, f'set "model_max_length": {positions} in tokenizer_config.json'
        )
    return Check(name, "ok", f"{positions} tokens", meaning)
