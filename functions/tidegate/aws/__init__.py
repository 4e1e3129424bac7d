"""What AWS keeps for a rollout, one module per thing; the only code that imports boto3."""
