"""Many processes that compute what one would: the mesh, split sequences, gradients, seeds.

Knows none of our models: where a model is cut is said beside it (models/transformer/parallelize.py).
"""
