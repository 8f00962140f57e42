"""``python -m sciops.cli`` is the command ``sciops``."""

from sciops.cli import main

main()
