"""How a rollout ends, and what of the alias is its own."""
