"""What several handlers do with AWS and the domain: plan, dry-run, restore, settle, close, announce, ask."""
