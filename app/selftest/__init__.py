"""The self-test of a node, step by step. Its requests and results are rows of `nodes`."""
