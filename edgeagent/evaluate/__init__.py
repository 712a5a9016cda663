"""Test sets of sound and text to accuracy, time to decision and false actions."""
