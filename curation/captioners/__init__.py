"""Who writes captions (Sec. 3.2.1): models at chat endpoints, in shares; or a describer without a model."""
