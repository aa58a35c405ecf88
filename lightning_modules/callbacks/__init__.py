"""What the `lightning` command adds to every fit: one file, one duty."""
