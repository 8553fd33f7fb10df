"""Rows for new tokens, made from the rows of the base: one module a family of methods.

A new piece stands for the base tokens p1 … pm (its parents). Its input row is what the model reads, its output row
what it is scored by. `methods` is the table of all of them, `make` the one way to rows.
"""

from watari.model.rows.bias import bias_direction, log_ratios
from watari.model.rows.cooccurrence import Vectors, token_vectors
from watari.model.rows.effect import Effect, loss_change
from watari.model.rows.make import NEVER_TERM, Aids, bias_terms, make_rows
from watari.model.rows.methods import ALIASES, INITS, METHODS, Init, Method, Side
from watari.model.rows.mixture import Mixture
from watari.model.rows.never import Never, never_sampled
from watari.model.rows.parents import mean_of_parents
from watari.model.rows.similar import focus, matching_pursuit

__all__ = [
    "ALIASES",
    "INITS",
    "METHODS",
    "NEVER_TERM",
    "Aids",
    "Effect",
    "Init",
    "Method",
    "Mixture",
    "Never",
    "Side",
    "Vectors",
    "bias_direction",
    "bias_terms",
    "focus",
    "log_ratios",
    "loss_change",
    "make_rows",
    "matching_pursuit",
    "mean_of_parents",
    "never_sampled",
    "token_vectors",
]
