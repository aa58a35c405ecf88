"""One file = one stage of `python -m curation.run --stage NAME`."""
