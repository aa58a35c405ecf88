"""What a run came to, for people: one page of HTML that opens without a server, and its numbers as JSON."""

from curation.report.page import write_report

__all__ = ["write_report"]
