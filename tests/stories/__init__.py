"""What every shipped scenario and every story of the workflow tests does, kept to be held against another code."""
