"""Frame rates: those of the clips that a model was trained on, and the one that it generates at.

A rate is counted whole, as the prefix says it (Sec. 3.1.4): exact rates are frames over seconds, of which
hardly two are equal. The paper finetunes on two, 16 and 24 (Sec. 3.3).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from models.text.prefix import whole_rate

Rates = Mapping[str, Mapping[str, int]]  # bucket -> rate -> clips


def rates_of(clips: Iterable[tuple[str, float, int]]) -> dict[str, Any]:
    """What an index says of clips, each a bucket, a rate and how many: "rates" of the buckets of videos, and
    "fps", the most frequent of all."""
    rates: dict[str, Counter[str]] = {}
    for bucket, fps, count in clips:
        rates.setdefault(bucket, Counter())[str(whole_rate(fps))] += count
    videos = {bucket: dict(found) for bucket, found in rates.items() if not bucket.endswith("x1")}
    return {"rates": videos, "fps": usual_rate(rates)}


def usual_rate(rates: Rates, bucket: str | None = None) -> float | None:
    """The most frequent rate of a bucket, or of all; None where nothing is known of it."""
    counts = Counter(rates.get(bucket, {})) if bucket else sum(map(Counter, rates.values()), Counter())
    return float(max(counts, key=lambda rate: (counts[rate], int(rate)))) if counts else None


def known_rates(rates: Rates, bucket: str) -> list[int]:
    """The rates of a bucket, or of all where it is not known."""
    found = rates.get(bucket) or {rate: 0 for counts in rates.values() for rate in counts}
    return sorted(map(int, found))


def merged(all_rates: Iterable[Rates]) -> dict[str, dict[str, int]]:
    """The rates of several models together."""
    found: dict[str, Counter[str]] = {}
    for rates in all_rates:
        for bucket, counts in rates.items():
            found.setdefault(bucket, Counter()).update(counts)
    return {bucket: dict(counts) for bucket, counts in found.items()}
