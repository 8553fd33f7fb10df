"""The page of a stage that makes data: what it cost, which faults were caught, rows side by side."""

from watari.synth.report.page import page, report

__all__ = ["page", "report"]
