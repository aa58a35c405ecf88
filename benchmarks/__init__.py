"""Measurements: each prints ratios against a peer or a limit of the same run. None is a test of time."""
