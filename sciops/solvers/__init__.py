"""Solvers of linear systems A x = b, one method a file; the file name is the solver's name."""
