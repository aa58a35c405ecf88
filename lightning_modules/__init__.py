"""Training: one file is one stage of the paper, all under one command, `lightning`."""
