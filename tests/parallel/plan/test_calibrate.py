"""This machine as a device: rates are what was measured, and more processes share the same memory."""

import math

from parallel.plan.calibrate import calibrated
from parallel.plan.shape import Backbone, Batch

SHAPE = Backbone(width=128, layers=1, heads=1, feed_forward=256, text_widths=(32,))
BATCH = Batch(samples=1, tokens=128, text=(8,))


def test_a_calibrated_machine_has_rates_and_no_collectives_on_one_process() -> None:
    device = calibrated(1, SHAPE, BATCH)
    rates = (device.peak, device.attention, device.attention_backward, device.bandwidth, device.optimizer)
    assert all(0 < rate < math.inf for rate in rates)
    assert (device.name, device.fused_norm, device.latency, device.price) == ("cpu", False, 0.0, 0.0)
    assert device.memory > 1e9
