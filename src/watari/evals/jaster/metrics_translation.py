"""Metrics of translations (llm-jp-eval 1.3). They need libraries and models of their own: nothing is computed without.

BLEU is sacrebleu's (its Japanese tokens come from MeCab). BERTScore and COMET are neural: their scores cannot be told
apart from made-up ones by looking, so where the library or the model is missing they are refused, never stood in for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from watari.errors import UserError

_NEEDS = {
    "bleu_ja": ("sacrebleu", "pip install 'sacrebleu[ja]'"),
    "bleu_en": ("sacrebleu", "pip install sacrebleu"),
    "bert_score_ja_f1": ("bert_score", "pip install bert-score"),
    "bert_score_en_f1": ("bert_score", "pip install bert-score"),
    "comet_wmt22": ("comet", "pip install unbabel-comet"),
}


def bleu_ja(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return sacrebleu's BLEU / 100 of each translation into Japanese."""
    return _bleu(preds, golds, "ja")


def bleu_en(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return sacrebleu's BLEU / 100 of each translation into English."""
    return _bleu(preds, golds, "en")


def bert_score_ja_f1(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return BERTScore's F1 of each translation into Japanese."""
    return _bert_score(preds, golds, "ja")


def bert_score_en_f1(preds: Sequence[str], golds: Sequence[str]) -> list[float]:
    """Return BERTScore's F1 of each translation into English."""
    return _bert_score(preds, golds, "en")


def missing(metric: str) -> str:
    """Return what is missing for a metric of translations, in words; "" if nothing is, or it is another metric.

    COMET also needs the source texts, which predictions as saved by llm-jp-eval hold only inside of the input: it is not
    computed here.
    """
    if metric == "comet_wmt22":
        return "COMET is not computed here: it needs its model (Unbabel/wmt22-comet-da) and the source texts"
    library, mend = _NEEDS.get(metric, ("", ""))
    return f"{metric} needs {library} ({mend})" if library and find_spec(library) is None else ""


def refuse_missing(metric: str) -> None:
    """Stop where a metric cannot be computed.

    Raises:
        UserError: saying what is missing.
    """
    if said := missing(metric):
        raise UserError(said, "leave the datasets of translations out, or install it")


def _bleu(preds: Sequence[str], golds: Sequence[str], language: str) -> list[float]:
    refuse_missing(f"bleu_{language}")
    from importlib import import_module

    library: Any = import_module("sacrebleu")
    try:
        # Each on its own, as upstream: a corpus of one sentence, orders beyond its length left out.
        measure = library.BLEU(effective_order=True, trg_lang=language)
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"bleu_{language}: {str(error).strip().splitlines()[0]}", _NEEDS["bleu_ja"][1]
        ) from None
    values = []
    for pred, gold in zip(preds, golds, strict=True):
        said, wanted = pred.strip(), gold.strip()
        if not wanted:
            raise UserError(f"bleu_{language}: an empty reference", "mend the dataset")
        values.append(measure.corpus_score([said], [[wanted]]).score / 100 if said else 0.0)
    return values


def _bert_score(preds: Sequence[str], golds: Sequence[str], language: str) -> list[float]:
    refuse_missing(f"bert_score_{language}_f1")
    from importlib import import_module

    library: Any = import_module("bert_score")
    try:
        found = library.score(list(preds), list(golds), lang=language)[2].tolist()
    except OSError as error:
        raise UserError(
            f"bert_score_{language}_f1: its model cannot be loaded: {str(error).splitlines()[0]}",
            "have it in the hub's cache",
        ) from None
    return [float(value) for value in found]
