"""How far a rollout is, what operators want of it, and the one decision that follows."""
