"""Progressive rollouts of AWS Lambda functions: what decides, what talks to AWS, and what people see."""
