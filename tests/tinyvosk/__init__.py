"""A tiny but real speech model for Vosk, built from nothing, and the speech that it understands."""
