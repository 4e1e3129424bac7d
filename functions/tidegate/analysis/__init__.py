"""Is the candidate worse than the stable version: the judge, the user's own limits, alarms."""
