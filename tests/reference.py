"""The definitions in plain loops, which the kernel lab holds solutions against too."""

from tinynet.lab.reference import *  # noqa: F403
