"""The domain of a rollout: values in, values out; no AWS, no clock, no environment, no log."""
