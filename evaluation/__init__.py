"""Measure what models make: metrics, the toy world of known truth, the report."""
