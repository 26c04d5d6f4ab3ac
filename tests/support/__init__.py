"""Helpers of the tests: real peers, real servers, factories."""
