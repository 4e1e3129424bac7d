"""What AWS keeps for a rollout, one module per thing; the only code of the handlers that imports boto3."""
