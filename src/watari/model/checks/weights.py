"""Checks of the weight files: form, type, tied head, rows, values."""

from __future__ import annotations

from watari.model.checks.patient import Check, Patient, Status

_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NEAR_ZERO = 0.01
"""A row shorter than this share of the median row counts as zero."""


def files(patient: Patient) -> Check:
    """Safetensors only: a pickle can run code when it is read."""
    name, meaning = "weights.files", "pickle files can run code when they are read; some loaders prefer them"
    patterns = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
    pickles = sorted(p.name for pattern in patterns for p in patient.folder.glob(pattern))
    if not patient.tensors:
        found = f"no safetensors file{', only ' + pickles[0] if pickles else ''}"
        return Check(
            name, "fail", found, meaning, "convert the weights to safetensors where you trust the file"
        )
    count = len({entry.file for entry in patient.tensors.values()})
    found = f"{len(patient.tensors)} tensors in {count} safetensors file{'s' * (count != 1)}"
    if pickles:
        return Check(
            name,
            "warn",
            f"{found}, and {', '.join(pickles[:3])}",
            meaning,
            "remove the pickle files from the folder",
        )
    return Check(name, "ok", found, meaning)


def dtype(patient: Patient) -> Check:
    """One type of weights, and the one that config.json says."""
    name = "weights.dtype"
    meaning = (
        "dtype='auto' loads what config.json says, whatever the files hold; mixed types slow or break engines"
    )
    counts: dict[str, int] = {}
    for entry in patient.tensors.values():
        if entry.dtype in _TYPES:
            counts[_TYPES[entry.dtype]] = counts.get(_TYPES[entry.dtype], 0) + 1
    listed = (
        ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        or "no floating-point tensors"
    )
    said = patient.setting("dtype") or patient.setting("torch_dtype")
    if len(counts) > 1:
        return Check(name, "warn", f"mixed: {listed}", meaning, "save the model in one type")
    if said and counts and str(said).removeprefix("torch.") not in counts:
        mend = f'set "dtype": "{next(iter(counts))}" in config.json'
        return Check(name, "warn", f"files: {listed}; config.json: {said}", meaning, mend)
    return Check(name, "ok", listed, meaning)


def tied(patient: Patient) -> Check:
    """The head is tied if and only if config.json says so."""
    name = "weights.tied"
    meaning = (
        "a tied head is the embedding matrix itself; with the wrong flag the model speaks with a wrong head"
    )
    head, source = patient.output_name, patient.input_name
    if source is None:
        return Check(name, "fail", "no embedding matrix found", meaning, "is this a causal language model?")
    same = False
    if head is not None and patient.tensors[head].shape == patient.tensors[source].shape:
        same = bool((patient.tensor(head) == patient.tensor(source)).all())
    if patient.tied:
        if head is None:
            return Check(name, "ok", "tied, one matrix in the files", meaning)
        if same:
            return Check(name, "ok", "tied, the same matrix twice in the files", meaning)
        mend = 'set "tie_word_embeddings": false in config.json if the head was trained by itself'
        return Check(name, "fail", f"config.json says tied, but the files' {head} differs", meaning, mend)
    if head is None:
        mend = 'set "tie_word_embeddings": true in config.json, or save the model with its head'
        return Check(name, "fail", "config.json says not tied, but the files have no head", meaning, mend)
    if same:
        mend = 'set "tie_word_embeddings": true in config.json if they are meant to be one'
        return Check(name, "warn", "not tied, yet head and embeddings are equal in every row", meaning, mend)
    return Check(name, "ok", "not tied, a head of its own", meaning)


def rows(patient: Patient) -> Check:
    """Every token id has a row."""
    name = "weights.rows"
    meaning = "a token without a row crashes or reads foreign memory; rows without a token are padding and must not win"
    count, tokens = patient.rows, patient.tokens
    if count is None:
        return Check(name, "fail", "no embedding matrix found", meaning, "is this a causal language model?")
    said = patient.setting("vocab_size")
    head = patient.tensors[patient.output_name].shape[0] if patient.output_name else count
    if tokens > count:
        mend = (
            f"resize the embeddings to {tokens} rows (`model.graft`), or use the tokenizer that belongs here"
        )
        return Check(name, "fail", f"{tokens} tokens but {count} rows", meaning, mend)
    if said != count or head != count:
        found = f"{count} embedding rows, {head} head rows, config.json says {said}"
        return Check(
            name, "fail", found, meaning, f'set "vocab_size": {count} in config.json, or resize both matrices'
        )
    padding = f", {count - tokens} padding rows" if count > tokens and patient.vocabulary else ""
    return Check(name, "ok", f"{count} rows for {tokens} tokens{padding}", meaning)


def values(patient: Patient) -> Check:
    """No row of embeddings or head is broken, empty or a copy of another one."""
    import torch

    name = "weights.values"
    meaning = "NaN spreads to every answer; empty and equal rows are tokens that were never trained"
    token_of = {index: token for token, index in patient.vocabulary.items()}
    status: Status = "ok"
    notes: list[str] = []
    checked = 0
    for matrix in dict.fromkeys((patient.input_name, patient.output_name)):
        if matrix is None:
            continue
        table = patient.tensor(matrix).float()
        table = table[: min(patient.tokens, table.shape[0])] if patient.vocabulary else table
        checked += table.shape[0]
        broken = (~torch.isfinite(table)).any(dim=1).nonzero()[:, 0].tolist()
        if broken:
            status = "fail"
            notes.append(f"{matrix}: {_named(broken, token_of)} not finite")
            continue
        norms = table.norm(dim=1)
        empty = (norms <= _NEAR_ZERO * norms.median()).nonzero()[:, 0].tolist()
        # Equal rows have equal projections; rows that differ share one by chance about never.
        direction = torch.randn(
            table.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        _, group, size = torch.unique(table.double() @ direction, return_inverse=True, return_counts=True)
        hollow = set(empty)
        copies = [row for row in (size[group] > 1).nonzero()[:, 0].tolist() if row not in hollow]
        if empty:
            notes.append(f"{matrix}: {_named(empty, token_of)} (nearly) zero")
        if copies:
            notes.append(f"{matrix}: {_named(copies, token_of)} equal to another row")
        if (empty or copies) and status == "ok":
            status = "warn"
    if status == "ok":
        return Check(name, "ok", f"{checked} rows, all finite, none empty, no two equal", meaning)
    mend = (
        "go back to the last sound checkpoint"
        if status == "fail"
        else "train these rows or initialise them from their parts (`model.graft`)"
    )
    return Check(name, status, "; ".join(notes), meaning, mend)


def _named(rows: list[int], token_of: dict[int, str]) -> str:
    shown = ", ".join(f"{row} {token_of.get(row, '')!r}" for row in rows[:3])
    return f"{len(rows)} row{'s' * (len(rows) != 1)} ({shown}{', ...' if len(rows) > 3 else ''})"
