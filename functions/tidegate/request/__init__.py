"""What a user may ask for, and what is wrong with it."""
