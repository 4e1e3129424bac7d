"""From a request and what the account says to a plan: strategy, steps, pace, forecast."""
