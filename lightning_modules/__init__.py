"""Training: one file is one stage of the paper, under one command, `lightning`. Importing this package imports nothing."""
