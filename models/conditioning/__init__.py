"""Conditions of the transformer beside text and time, as values: one file = one condition."""
