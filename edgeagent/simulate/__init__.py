"""A virtual house on a real broker, for the demo, for tests and for trying things out."""
