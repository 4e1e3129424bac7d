"""The judge beside its peers: the same recorded rollouts, every rule polled minute by minute."""
