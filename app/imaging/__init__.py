"""Decode, LUT chain, render: arrays in, arrays out. No database, no network."""
