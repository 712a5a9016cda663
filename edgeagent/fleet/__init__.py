"""The fleet: what devices and their console say to one another, and the device's side of it."""
