"""Building blocks of operators: maps between tensors that know shapes and nothing else.

A layer never sees a Schema; what it must know of a domain (which axes wrap, how many modes to
keep) it is told in plain Python values.  Every layer has real parameters, works in one, two and
three dimensions unless it says otherwise, and exports with dynamic batch and sizes.
"""
