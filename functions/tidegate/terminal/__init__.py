"""What every command line needs: files that are read, exit codes, an end in one sentence."""
