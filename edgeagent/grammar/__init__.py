"""Sentence templates and names of devices, compiled into one word automaton."""
