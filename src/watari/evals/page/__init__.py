"""The page of evaluations: `watari eval report`."""

from watari.evals.page.report import Written, folder_page, report

__all__ = ["Written", "folder_page", "report"]
