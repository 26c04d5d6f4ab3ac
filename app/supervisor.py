"""Starts the roles, restarts one that dies, stops all."""
