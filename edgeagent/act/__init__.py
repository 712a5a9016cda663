"""Commands to outcomes."""
