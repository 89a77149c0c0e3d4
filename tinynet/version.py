"""The version of the package, alone in its file so that everything may read it."""

__version__ = "0.1.0"
cuda = None  # PyTorch's name for the version of CUDA that it was built with
