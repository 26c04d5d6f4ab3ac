"""Fuzzing of what the network brings: a short run in the tests, any length by `make fuzz`."""
