"""Signed updates: what is trusted, fetched, kept, tested, switched to, and taken back."""
