"""How each family of devices is spoken to on the bus."""
