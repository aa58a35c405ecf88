"""The report: one HTML page that needs no server, no network and no other file."""
