"""Are there evaluation texts among the rows? A screen for mixtures, by the rules that corpora are decontaminated with.

Sets of any form that `corpus.build` reads, also what `watari eval texts` writes; a row that holds an item is dropped
whole (`kernels.contamination_index` says what that is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from watari.errors import UserError
from watari.kernels.contamination import runs
from watari.kernels.contamination_index import ContaminationIndex, ContaminationParams, build_index
from watari.text.evaluation_sets import read_all

REASON = "contaminated"


@dataclass(frozen=True)
class EvaluationTexts:
    """What rows are searched for."""

    index: ContaminationIndex

    def found_in(self, texts: Sequence[str]) -> list[int]:
        """Return the places of the texts that hold an item, ascending."""
        return list(runs(pa.array(texts, pa.large_string()), self.index)) if texts else []


def read_evaluation_texts(locations: Sequence[str], ngram: int) -> EvaluationTexts:
    """Return the texts of some evaluation sets, ready to be looked for.

    Args:
        locations: Files, folders or URLs of evaluation sets.
        ngram: Characters of a run, as in corpus.build.

    Raises:
        UserError: for a file that cannot be read, or if no item has text enough to be found.
    """
    index = build_index(read_all(locations), ContaminationParams(ngram=ngram))
    if not len(index.grams) and not len(index.whole):
        raise UserError(
            f"decontaminate: no text of {', '.join(locations)} has {ngram} characters",
            "check the files, or lower `contamination_ngram`",
        )
    return EvaluationTexts(index)
