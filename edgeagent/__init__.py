"""edgeagent: speak a command to a device, offline, and see it done."""

__version__ = "0.1.0"
