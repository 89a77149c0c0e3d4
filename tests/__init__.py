"""The checks of the package: test_*.py with pytest, long/ by hand."""
