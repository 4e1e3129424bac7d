"""Tidegate for people: what a rollout looks like, live in a terminal and afterwards on a page."""
