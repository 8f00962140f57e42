"""Benchmarks: a suite (YAML) becomes runs, the runs a table, the table a page to read and to send.

suite    what is compared: operators x seeds x data x splits
runner   one subprocess a job; a stopped suite continues
cost     parameters, time a sample, memory
report   ``report.html`` from a suite folder, and the same table on the console
"""
