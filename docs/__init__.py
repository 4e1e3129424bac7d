"""The pages, and what draws and writes the parts of them that repeat the code: python -m docs.generate."""
