"""Checks of a student's work that name the mistake, not only that there is one."""

from pyqtf.grading.perplexity import Check, check_perplexity

__all__ = ["Check", "check_perplexity"]
