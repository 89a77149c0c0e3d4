"""Checking gradients against finite differences, and saying where they are wrong."""

from tinynet.gradcheck.check import gradcheck, gradcheck_model
from tinynet.gradcheck.report import Failure, GradientError, Report

__all__ = ["Failure", "GradientError", "Report", "gradcheck", "gradcheck_model"]
