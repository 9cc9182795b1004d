"""Parity with the published model: golden cases, tolerances, and a report that names the first tensor that
departs."""

from unipixel.parity.check import check_case, check_cases, check_folder, format_report, format_reports
from unipixel.parity.compare import CaseReport, TensorReport

__all__ = [
    "CaseReport",
    "TensorReport",
    "check_case",
    "check_cases",
    "check_folder",
    "format_report",
    "format_reports",
]
