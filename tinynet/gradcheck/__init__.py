"""Checking gradients against finite differences, and saying where and why they are wrong."""

from tinynet.gradcheck.check import gradcheck, gradcheck_model
from tinynet.gradcheck.report import EmptyCheckError, Failure, GradientError, Report

__all__ = [
    "EmptyCheckError", "Failure", "GradientError", "Report", "gradcheck", "gradcheck_model",
]  # fmt: skip
