"""Maps between fields: one operator a file, whose name is the name of the operator.

Baselines that need no gradient: `mean`, `persistence`, `least_squares`.  Networks: `unet`,
`deeponet`, `neuralop` (adapter).  Each file defines one settings class ``Config`` and one
`Operator`; ``Config(..).build(schema)`` gives an operator for data of that schema, or says in a
SchemaError why it cannot serve them.  Files that begin with ``_`` are helpers.
"""
