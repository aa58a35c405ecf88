"""From a model folder to a file: one file = one product, and the few parts that they share (Sec. 3.4)."""
