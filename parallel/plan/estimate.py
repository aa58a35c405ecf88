"""All that is known of one plan: what each rank holds, does, sends and waits for, and what a step costs."""

from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

from parallel.plan.communication import Traffic, traffic
from parallel.plan.devices import Device
from parallel.plan.flops import model_flops
from parallel.plan.layout import Layout
from parallel.plan.memory import Memory, Model, peak
from parallel.plan.shape import Batch
from parallel.plan.step_time import StepTime, step_time

DAY = 86_400.0
HOUR = 3_600.0


class Estimate(NamedTuple):
    """One layout of one model on one kind of device: memory of the fullest bucket, time of the slowest."""

    layout: Layout
    memory: Memory
    time: StepTime
    sent: list[Traffic]
    flops: float
    """Model FLOPs of one rank in one step."""
    samples: float
    """Clips in one step over all ranks."""
    tokens: float
    """Video tokens in one step over all ranks."""
    device: Device

    @property
    def fits(self) -> bool:
        """Whether the fullest rank gets through."""
        return self.memory.total <= self.device.memory

    @property
    def mfu(self) -> float:
        """Model FLOPs per second and device over the peak of the data sheet."""
        return self.flops / self.time.total / self.device.peak

    @property
    def tokens_per_day(self) -> float:
        """Of the whole run."""
        return self.tokens / self.time.total * DAY

    @property
    def device_seconds_per_token(self) -> float:
        """What plans are ranked by: it does not depend on the size of the batch alone."""
        return self.layout.world * self.time.total / self.tokens

    def device_days(self, steps: int) -> float:
        """Of a run of so many optimizer steps."""
        return self.layout.world * self.time.total * steps / DAY

    def cost(self, steps: int) -> float:
        """US dollars of a run of so many optimizer steps."""
        return self.device_days(steps) * DAY / HOUR * self.device.price


def estimate(model: Model, batches: Sequence[Batch], layout: Layout, device: Device) -> Estimate:
    """The plan of `layout`; a data rank's step takes one of `batches`, each as often as any other."""
    kernels = "cuda" if device.fused_norm else "cpu"
    sizes = dict.fromkeys(batches)
    memories = [peak(model, batch, layout, kernels) for batch in sizes]
    seconds = {batch: step_time(model, batch, layout, device) for batch in sizes}
    share = layout.accumulate / len(batches)
    inner = layout.cp * layout.tp
    return Estimate(
        layout=layout,
        memory=max(memories, key=lambda memory: memory.total),
        time=_slowest([seconds[batch] for batch in batches], layout.data_ranks),
        sent=traffic(model, max(batches, key=lambda batch: batch.samples * batch.tokens), layout),
        flops=sum(model_flops(model.shape, batch).total for batch in batches) * share / inner,
        samples=sum(batch.samples for batch in batches) * share * layout.data_ranks,
        tokens=sum(batch.samples * batch.tokens for batch in batches) * share * layout.data_ranks,
        device=device,
    )


def _slowest(times: Sequence[StepTime], ranks: int) -> StepTime:
    """Expected time of the slowest of `ranks`, each with one of `times` by even chance: the others wait."""
    rising = sorted(times, key=lambda time: time.total)
    chances = [
        ((place + 1) / len(times)) ** ranks - (place / len(times)) ** ranks for place in range(len(times))
    ]
    return StepTime(*(sum(map(mul, chances, part)) for part in zip(*rising, strict=True)))
