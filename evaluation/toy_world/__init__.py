"""A world of known truth: short videos whose content, motion, sound and captions come from one truth."""
