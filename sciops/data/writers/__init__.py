"""Formats that sciops writes, one file each; see `sciops.data.writers._writer`."""
