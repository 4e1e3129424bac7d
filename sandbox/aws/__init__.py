"""A simulated AWS account: moto, put right where AWS is known to behave otherwise, in virtual time."""
