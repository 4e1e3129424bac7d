"""What looks at the code from outside: no test needs it, and nothing of it is deployed."""
