"""The inits by name: what input and output rows they give, what they do on a tied head, and what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Init = Literal[
    "count-bias-focus",
    "count-bias",
    "last-first",
    "subword-mean",
    "weighted-mean",
    "hf-mean-resizing",
    "gaussian",
    "focus",
    "omp",
    "zero-output",
    "muted-output",
    "random",
]
INITS: tuple[Init, ...] = get_args(Init)
ALIASES: dict[str, Init] = {"mean": "subword-mean"}
"""Other names, which recipes use."""
Side = Literal["input", "output", "tied"]
Source = Literal[
    "last",
    "last-focus",
    "first",
    "mean",
    "weighted",
    "resized",
    "gaussian",
    "focus",
    "omp",
    "zero",
    "never",
    "random",
]
"""What a row is made of: see `make.make_rows`."""


@dataclass(frozen=True)
class Method:
    """One init.

    Args:
        about: What it is, with its source.
        input: What the embedding's rows are.
        output: What the head's rows are.
        tied: What the rows of a tied table are; None where one row cannot be both.
        biased: Output rows are moved by the count bias; those of a tied table until they are as likely.
        states: It needs hidden states, and so a text.
        vectors: It needs co-occurrence statistics, and so a text.
    """

    about: str
    input: Source
    output: Source
    tied: Source | None
    biased: bool = False
    states: bool = False
    vectors: bool = False

    @property
    def text(self) -> bool:
        """True if it needs a text."""
        return self.states or self.vectors


METHODS: dict[Init, Method] = {
    "count-bias-focus": Method(
        "count-bias, its input row half that of `focus`: the last base token alone says too little of what stood "
        "before it (benchmarks/bench_graft.py)",
        "last-focus",
        "first",
        "focus",
        biased=True,
        states=True,
        vectors=True,
    ),
    "count-bias": Method(
        "input row of the last base token, output row of the first, moved along the bias direction by the log of the "
        "corpus counts' ratio: the chain rule (facts: tokenizer §7)",
        "last",
        "first",
        "mean",
        biased=True,
        states=True,
    ),
    "last-first": Method("count-bias without the bias: the control for it", "last", "first", None),
    "subword-mean": Method(
        "mean of the base tokens' rows (Swallow, arXiv 2404.17790; FVT, Gee et al. 2022)",
        "mean",
        "mean",
        "mean",
    ),
    "weighted-mean": Method(
        "mean of the base tokens' rows by their share of the piece's bytes: a byte token is a third of a character",
        "weighted",
        "weighted",
        "weighted",
    ),
    "hf-mean-resizing": Method(
        "normal with the base rows' mean and 1e-9 of their covariance, as transformers' resize_token_embeddings "
        "(mean_resizing=True) draws them",
        "resized",
        "resized",
        "resized",
    ),
    "gaussian": Method(
        "normal with the base rows' mean and full covariance (Hewitt 2021, Initializing New Word Embeddings)",
        "gaussian",
        "gaussian",
        "gaussian",
    ),
    "focus": Method(
        "base rows weighted by sparsemax of the similarity of tokens in the text (FOCUS, Dobler & de Melo 2023; here "
        "similarity is from PPMI + SVD, not fastText)",
        "focus",
        "focus",
        "focus",
        vectors=True,
    ),
    "omp": Method(
        "few base rows, with the coefficients by which orthogonal matching pursuit spells the piece's co-occurrence "
        "vector in theirs (Goddard & Fernandes Neto 2025, mergekit-tokensurgeon, with its donor replaced by the text)",
        "omp",
        "omp",
        "omp",
        vectors=True,
    ),
    "zero-output": Method(
        "subword-mean to read, zero to write: every new piece has logit 0", "mean", "zero", None
    ),
    "muted-output": Method(
        "subword-mean to read, never sampled to write: the base's own distribution until training moves it",
        "mean",
        "never",
        None,
        states=True,
    ),
    "random": Method(
        "normal with the config's initializer_range, for comparison", "random", "random", "random"
    ),
}
"""Every init; the first is the best where there is a text (benchmarks/bench_graft.py)."""
