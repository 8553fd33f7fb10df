"""Checks of the tokenizer: BOS, pad, special ids, and that its files say the same."""

from __future__ import annotations

from watari.model.checks.patient import Check, Patient, ids, read_json

SAMPLES = (
    "The quick brown fox jumps over the lazy dog.",
    " leading space",
    "   three spaces,  two inside",
    "trailing space ",
    "line\nbreak\n\n\ttab",
    "日本語の文章です。「かぎかっこ」と、句読点。",
    " 先頭に空白のある日本語",
    "ﾊﾝｶｸ ＡＢＣ １２３ 〜 ー",
    "東京都の2024年3月、Tokyoで。",
    "naïve café — “quotes” … 😀👩‍👩‍👧",
    "def f(x):\n    return x ** 2",
)
"""Texts on which two tokenizers that differ do differ (facts/tokenizer.md §6)."""


def loads(patient: Patient) -> Check:
    """Transformers can load it."""
    name, meaning = "tokenizer.loads", "without a tokenizer nothing else can be checked or used"
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return Check(
            name, "fail", patient.tokenizer_problem, meaning, "copy the tokenizer's files into the folder"
        )
    return Check(name, "ok", f"{type(tokenizer).__name__}, {len(tokenizer)} tokens", meaning)


def bos(patient: Patient) -> Check | None:
    """A plain text gets BOS exactly once."""
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return None
    name = "tokenizer.bos"
    meaning = (
        "a model trained with BOS is not itself without it (Shisa: 0.0391 without, 0.7166 with); two harm too"
    )
    bos_id = tokenizer.bos_token_id
    if bos_id is None:
        return Check(name, "ok", "the tokenizer has no BOS, and none is added", meaning)
    count = list(tokenizer.encode(SAMPLES[0])).count(bos_id)
    if count == 1:
        return Check(name, "ok", f"{tokenizer.bos_token} is added once to a plain text", meaning)
    if count > 1:
        mend = "take one BOS out of the post-processor of tokenizer.json, or set add_bos_token to false"
        return Check(
            name, "fail", f"{tokenizer.bos_token} is added {count} times to a plain text", meaning, mend
        )
    if bos_id == tokenizer.eos_token_id:
        return Check(name, "ok", "BOS is EOS and is not added, as in the GPT-2 family", meaning)
    found = f"{tokenizer.bos_token} exists but is not added to a plain text"
    mend = "give tokenizer.json a post-processor that adds it, unless training had none"
    return Check(name, "fail", found, meaning, mend)


def pad(patient: Patient) -> Check | None:
    """Padding cannot hide EOS or point outside of the vocabulary."""
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return None
    name = "tokenizer.pad"
    meaning = "trainers mask every pad token from the loss: if EOS is the pad, the model never learns to stop"
    pad_id = tokenizer.pad_token_id
    if pad_id is None:
        return Check(name, "ok", "no pad token; padding here is masked, whatever its id", meaning)
    if pad_id >= (patient.rows or pad_id + 1) or pad_id < 0:
        found = f"pad {tokenizer.pad_token} has id {pad_id}, outside of {patient.rows} rows"
        return Check(name, "fail", found, meaning, "choose a pad token that has a row, for instance <unk>")
    if pad_id == tokenizer.eos_token_id:
        found = f"pad is EOS ({tokenizer.pad_token})"
        mend = "use another token to train elsewhere; for answering (and for training here) it does no harm"
        return Check(name, "warn", found, meaning, mend)
    return Check(name, "ok", f"{tokenizer.pad_token} (id {pad_id})", meaning)


def special_ids(patient: Patient) -> Check | None:
    """config.json means the same special tokens as the tokenizer."""
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return None
    name = "tokenizer.ids"
    meaning = (
        "engines read the special ids from config.json, transformers from the tokenizer: they must agree"
    )
    outside, other = [], []
    for kind in ("bos", "eos"):
        said = ids(patient.setting(f"{kind}_token_id"))
        own = getattr(tokenizer, f"{kind}_token_id")
        outside += [f"{kind} {token}" for token in said if not 0 <= token < (patient.rows or token + 1)]
        if said and own is not None and own not in said:
            other.append(f"{kind}: config.json {said}, tokenizer {own}")
    if outside:
        found = f"config.json names ids without a row: {', '.join(outside)}"
        return Check(name, "fail", found, meaning, "write the tokenizer's ids into config.json")
    if other:
        return Check(name, "warn", "; ".join(other), meaning, "write the tokenizer's ids into config.json")
    return Check(name, "ok", f"bos {tokenizer.bos_token_id}, eos {tokenizer.eos_token_id}", meaning)


def as_written(patient: Patient) -> Check | None:
    """Transformers segments as tokenizer.json says."""
    path = patient.folder / "tokenizer.json"
    if patient.tokenizer is None or not path.is_file():
        return None
    from tokenizers import Tokenizer

    name = "tokenizer.class"
    meaning = (
        "transformers 5's LlamaTokenizer drops tokenizer.json's normaliser: other ids, lost leading spaces"
    )
    written = Tokenizer.from_file(str(path))
    for text in SAMPLES:
        wanted = written.encode(text, add_special_tokens=False).ids
        if list(patient.tokenizer.encode(text, add_special_tokens=False)) != wanted:
            found = f"{type(patient.tokenizer).__name__} gives other ids than tokenizer.json for {text!r}"
            mend = 'set "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json'
            return Check(name, "warn", found, meaning, mend)
    return Check(name, "ok", f"equal ids on {len(SAMPLES)} texts", meaning)


def files_agree(patient: Patient) -> Check | None:
    """tokenizer.json and tokenizer.model give the same ids."""
    fast, slow = patient.folder / "tokenizer.json", patient.folder / "tokenizer.model"
    name = "tokenizer.files"
    meaning = (
        "transformers reads tokenizer.json, llama.cpp reads tokenizer.model: the model must see the same ids"
    )
    if not fast.is_file() or not slow.is_file():
        return None
    from sentencepiece import SentencePieceProcessor
    from tokenizers import Tokenizer

    try:
        model = SentencePieceProcessor(model_file=str(slow))
    except (RuntimeError, OSError):
        return Check(name, "ok", "tokenizer.model is not a SentencePiece file; not compared", meaning)
    json_form = Tokenizer.from_file(str(fast))
    mend = "write both from one source (`tokenizer.extend` does), or remove the wrong one"
    for text in SAMPLES:
        if json_form.encode(text, add_special_tokens=False).ids != model.encode(text):
            return Check(
                name, "fail", f"tokenizer.json and tokenizer.model differ on {text!r}", meaning, mend
            )
    return Check(name, "ok", f"equal ids on {len(SAMPLES)} texts", meaning)


def round_trip(patient: Patient) -> Check | None:
    """What is encoded comes back."""
    tokenizer = patient.tokenizer
    if tokenizer is None:
        return None
    name, meaning = (
        "tokenizer.lossless",
        "a character that does not come back can neither be learnt nor be said",
    )
    # Blanks at the ends are the matter of tokenizer.class: what drops them is the class, not the vocabulary.
    for text in (sample.strip(" ") for sample in SAMPLES):
        tokens = tokenizer.encode(text, add_special_tokens=False)
        if tokenizer.decode(tokens, clean_up_tokenization_spaces=False) != text:
            settings = read_json(patient.folder / "tokenizer_config.json")
            cleans = settings.get("clean_up_tokenization_spaces") is True
            mend = (
                'set "clean_up_tokenization_spaces": false'
                if cleans
                else "use a vocabulary with byte fallback"
            )
            return Check(name, "warn", f"does not come back: {text!r}", meaning, mend)
    return Check(name, "ok", f"{len(SAMPLES)} texts come back unchanged", meaning)
