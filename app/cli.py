"""The one command: `filmroom`."""
