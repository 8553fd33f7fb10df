"""Intervals and resampling: a number carries its uncertainty (DESIGN law 3)."""

from watari.stats.intervals import (
    Estimate,
    bootstrap_mean,
    bootstrap_ratio,
    mean_t,
    student_t_quantile,
    wilson,
)

__all__ = ["Estimate", "bootstrap_mean", "bootstrap_ratio", "mean_t", "student_t_quantile", "wilson"]
