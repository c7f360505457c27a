"""``python -m placement`` is the command ``placement``."""

from placement.cli.main import main

main()
