"""Many rollouts at once in one account, under AWS's own quotas."""
