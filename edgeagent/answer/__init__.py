"""Outcomes and questions to speech and print."""
