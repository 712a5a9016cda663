"""Servers of other people's protocols."""
