"""The part of a config that runs a plan: `lightning fit -c stage.yaml -c plan.yaml`."""

from parallel.plan.estimate import Estimate
from parallel.plan.stage import STRATEGY


def trainer_yaml(plan: Estimate, source: str) -> str:
    """YAML with the mesh, precision and devices of `plan`, and its numbers as a header."""
    layout, device = plan.layout, plan.device
    node = min(device.node, layout.world)
    accelerator = "cpu" if device.name == "cpu" else "gpu"
    compute = "bfloat16" if layout.bytes_compute == 2 else "float32"
    return f"""\
# {layout.world} x {device.name}, planned from {source}: lightning fit -c {source} -c THIS
# {plan.memory.total / 1e9:.1f} of {device.memory / 1e9:.1f} GB a device, {plan.time.total:.2f} s a step, \
MFU {100 * plan.mfu:.0f} %, {plan.tokens_per_day:.3g} tokens a day.
model:
  init_args:
    execution:
      checkpointing: {layout.checkpointing}
trainer:
  accelerator: {accelerator}
  devices: {node}
  num_nodes: {layout.world // node}
  accumulate_grad_batches: {layout.accumulate}
  strategy:
    class_path: {STRATEGY}
    init_args:
      mesh:
        dp_replicate: {layout.dp_replicate}
        dp_shard: {layout.dp_shard}
        cp: {layout.cp}
        tp: {layout.tp}
      sharding:
        compute: {compute}
"""
