"""What people see of a rollout, drawn from values alone."""
