"""Images for SD cards: built, customised offline, written to a medium, and looked into."""
