"""Something brought to many devices in waves: pure rules and statistics, and what carries them to the database."""
