"""What the user's own code is asked, and what it may answer: hooks and smoke tests."""
