"""A small world of known truth: short videos whose content, motion, sound and captions follow from one drawn scene."""
