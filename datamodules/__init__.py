"""Shards to batches: one file is one kind of batch, or one part of the way to it."""
