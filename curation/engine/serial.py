"""Runs jobs one after the other in this process: for debuggers and tests. Nothing is supervised."""

from collections.abc import Iterator

from curation.engine.job import Done, Job


class Serial:
    """An Engine without other processes."""

    def run(self, jobs: list[Job]) -> Iterator[Done]:
        """Run all `jobs`; yield each when it is done."""
        for job in jobs:
            yield Done(job, job.run(lambda row: None, {}))

    def close(self) -> None:
        """Nothing is open."""
