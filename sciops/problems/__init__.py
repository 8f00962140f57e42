"""Equations with known answers that also make data, one a file named after the problem."""
