"""Where the files of a run come from, and how each comes to lie on this machine's disk."""
