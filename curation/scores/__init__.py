"""One file = one measurement of a clip. No thresholds here: they are rules of a subset
(configs/curation/subsets)."""
