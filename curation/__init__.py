"""Raw video to WebDataset shards by the paper's recipe (Sec. 3.2.1, App. B): `python -m curation.run`."""
