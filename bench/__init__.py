"""What Tidegate is measured against. Stays with the source: nothing here goes to Lambda."""
