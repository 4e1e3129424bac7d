"""`python -m tidegate`: the command line, where its script is not on PATH."""

from tidegate.cli import main

main()
