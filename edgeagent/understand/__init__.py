"""Transcripts to commands, questions and rejections."""
