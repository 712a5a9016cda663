"""The hardware underneath: which board and sound card it is, what it can carry, its lights and its button."""
