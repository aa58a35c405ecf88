"""A loss by parts: by quantile of the flow time and by bucket, summed where it arises, shared when shown."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

TIMES = 4  # parts of the training times, each as likely as the others


class LossParts:
    """Means since they were last asked for. `add` waits for no device and no other process.

    Processes may see other buckets in one step; all know the same list of them, and share one small tensor.
    """

    def __init__(self, buckets: Sequence[str] = (), whole: Sequence[str] = ()) -> None:
        """`whole` names losses that are shown undivided, in which a loss that is no number is seen."""
        self._buckets = {bucket: TIMES + i for i, bucket in enumerate(sorted(buckets))}
        self._whole = {name: TIMES + len(self._buckets) + i for i, name in enumerate(whole)}
        self._names = [f"loss_of_times/{i + 1}_of_{TIMES}" for i in range(TIMES)]
        self._names += [f"loss_of_bucket/{bucket}" for bucket in self._buckets]
        self._names += whole
        self._sums: Tensor | None = None  # float64 [parts, 2]: of losses, of samples

    @torch.no_grad()
    def add(self, losses: Float[Tensor, " b"], ranks: Float[Tensor, " b"], bucket: str | None) -> None:
        """Count samples of one bucket in, with the ranks of their times in training (`flow.path.Path.rank`).
        A loss that is no number is left out.
        """
        finite = torch.isfinite(losses)
        counted = torch.stack([torch.where(finite, losses, 0), finite.to(losses)], dim=1).double()
        sums = self._sums_on(losses.device)
        sums.index_add_(0, (ranks * TIMES).long().clamp(0, TIMES - 1), counted)
        if bucket in self._buckets:
            sums[self._buckets[bucket]] += counted.sum(dim=0)

    @torch.no_grad()
    def add_whole(self, name: str, losses: Float[Tensor, " b"]) -> None:
        """Count samples into the undivided loss `name`."""
        counted = torch.stack([losses, torch.ones_like(losses)], dim=1).double()
        self._sums_on(losses.device)[self._whole[name]] += counted.sum(dim=0)

    def means(self, prefix: str, total: Callable[[Tensor], Tensor], device: torch.device) -> dict[str, float]:
        """The means over all processes by name, of parts that had samples, and begin anew.

        All processes must ask, also one that has counted nothing: `total` sums over them.
        """
        sums, self._sums = total(self._sums_on(device)), None
        rows = zip(self._names, sums.tolist(), strict=True)
        return {f"{prefix}/{name}": loss / count for name, (loss, count) in rows if count}

    def _sums_on(self, device: torch.device) -> Tensor:
        if self._sums is None:
            self._sums = torch.zeros(len(self._names), 2, dtype=torch.float64, device=device)
        return self._sums
