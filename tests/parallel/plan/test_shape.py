"""Tokens of buckets: the paper's context lengths."""

import pytest

from parallel.plan.shape import bucket_tokens


@pytest.mark.parametrize(
    ("bucket", "tokens"),
    [("768x768x256", 73_728), ("1024x576x256", 73_728), ("256x256x256", 8_192), ("256x256x1", 256)],
)
def test_buckets_have_the_papers_context_lengths(bucket: str, tokens: int) -> None:
    assert bucket_tokens(bucket, patch=2) == tokens


@pytest.mark.parametrize("bucket", ["768", "768x768", "760x768x256", "axbxc", "768x768x0"])
def test_what_is_no_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        bucket_tokens(bucket, patch=2)
