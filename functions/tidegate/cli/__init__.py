"""The command line `tidegate`: one more door."""
