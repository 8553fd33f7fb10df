"""The page of evaluations: `watari eval report`."""

from watari.evals.page.report import Written, report

__all__ = ["Written", "report"]
