"""How many clips are in a batch when it is counted in tokens, so that batches of all buckets cost alike."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console import UserError
from parallel.plan.shape import COMPRESSION, bucket_grid

Sizes = int | dict[str, int]  # clips in a batch, of every bucket or of each


class TokenCount:
    """Tokens of a clip of each bucket, for a transformer of that patch on latents of that compression."""

    def __init__(self, patch: int, compression: Sequence[int] = COMPRESSION) -> None:
        self.patch = patch
        self.compression = (compression[0], compression[1], compression[2])

    @classmethod
    def of_index(cls, patch: int, index: Mapping[str, Any]) -> "TokenCount":
        """For latents whose index says what their TAE makes of frames, rows and columns."""
        return cls(patch, index.get("compression", COMPRESSION))

    def __call__(self, bucket: str) -> int:
        return math.prod(self.grid(bucket))

    def grid(self, bucket: str) -> tuple[int, int, int]:
        """Those in time, rows and columns."""
        try:
            return bucket_grid(bucket, self.patch, self.compression)
        except ValueError as error:
            raise UserError(str(error)) from error

    def sizes(self, buckets: Iterable[str], budget: int, key: str) -> dict[str, int]:
        """Clips of each bucket that `budget` tokens hold; a budget too small is an error that names `key`."""
        counted = {bucket: self(bucket) for bucket in buckets}
        large = {bucket: tokens for bucket, tokens in counted.items() if tokens > budget}
        if large:
            named = ", ".join(f"{bucket} has {tokens}" for bucket, tokens in large.items())
            raise UserError(
                f"{key} is {budget} tokens, but a clip of {named}. Raise it to {max(large.values())}, or "
                "leave that bucket out of the shards."
            )
        return {bucket: budget // tokens for bucket, tokens in counted.items()}
