"""What a device can do: peak rates, the shares of them that kernels reach, memory, links, price."""

from dataclasses import dataclass

GB, GIB = 1e9, 2**30


@dataclass(frozen=True, kw_only=True)
class Device:
    """One accelerator and its links. Rates are of dense bfloat16 products; bandwidths go one way."""

    name: str
    """As given to --gpu."""
    memory: float
    """Bytes that one process may fill: what the driver and the libraries leave of the device."""
    peak: float
    """FLOP/s of the data sheet, the denominator of MFU."""
    matmul: float
    """Share of `peak` that large matrix products reach."""
    attention: float
    """Share of `peak` that fused attention reaches forward, at 128 channels a head and long sequences."""
    attention_backward: float
    """The same backward, where a kernel does 2.5 times the work of forward."""
    bandwidth: float
    """Bytes a second between memory and cores that element-wise kernels reach."""
    optimizer: float
    """The same of AdamW and clipping."""
    link: float
    """Bytes a second and device of a collective within a node."""
    network: float
    """Bytes a second and device of a collective across nodes."""
    latency: float
    """Seconds that one collective takes at least."""
    node: int
    """Devices that share the fast link."""
    price: float
    """US dollars an hour, as clouds list one on demand; --price takes another."""
    fused_norm: bool = True
    """Whether RMS norm is one kernel; on a processor it is a chain that keeps float32 copies."""
    overlap: float = 0.9
    """Share of the compute time under which communication that nothing waits for can hide."""


# Data sheets of NVIDIA: memory, dense BF16 peak, HBM bandwidth, NVLink in one direction (half of the figure
# that brochures print). Of memory 5 % is taken off for the CUDA context, NCCL's buffers and what the
# allocator leaves unused.
#
# matmul: large cuBLAS products on H100 run at 600 to 700 TFLOP/s, which its 700 W sets, not the 989 of its
#   data sheet; on A100 at 250 of 312.
# attention: forward, 128 channels a head, 16k tokens, H100: FlashAttention-3 620 TFLOP/s, the algorithm of
#   FlashAttention-2 477 (github.com/pytorch/benchmark, pull request 2391). PyTorch's own kernel is
#   FlashAttention-2; backward at 0.8 of forward. A100: up to 0.73 of the peak (arXiv 2307.08691). B200: no
#   table for such shapes was found; the shares of H100 are assumed.
# bandwidth: 0.85 of the data sheet. link: 0.75 of one direction, network: 0.8 of 400 Gbit/s for each GPU
#   (Sec. 3.1.6; A100 nodes: 200), shares that large NCCL messages commonly reach.
# price: on-demand listings of 2025 for one GPU; they move by a factor of two between clouds.
_MEMORY = 0.95
DEVICES = {
    "a100": Device(
        name="a100", memory=80 * GB * _MEMORY, peak=312e12, matmul=0.80, attention=0.65,
        attention_backward=0.55, bandwidth=2.04e12 * 0.85, optimizer=2.04e12 * 0.85,
        link=300e9 * 0.75, network=25e9 * 0.8, latency=20e-6, node=8, price=1.8,
    ),
    "h100": Device(
        name="h100", memory=80 * GB * _MEMORY, peak=989e12, matmul=0.65, attention=0.48,
        attention_backward=0.38, bandwidth=3.35e12 * 0.85, optimizer=3.35e12 * 0.85,
        link=450e9 * 0.75, network=50e9 * 0.8, latency=20e-6, node=8, price=3.0,
    ),
    "h200": Device(
        name="h200", memory=141 * GB * _MEMORY, peak=989e12, matmul=0.65, attention=0.48,
        attention_backward=0.38, bandwidth=4.8e12 * 0.85, optimizer=4.8e12 * 0.85,
        link=450e9 * 0.75, network=50e9 * 0.8, latency=20e-6, node=8, price=3.8,
    ),
    "b200": Device(
        name="b200", memory=180 * GB * _MEMORY, peak=2250e12, matmul=0.65, attention=0.48,
        attention_backward=0.38, bandwidth=8e12 * 0.85, optimizer=8e12 * 0.85,
        link=900e9 * 0.75, network=50e9 * 0.8, latency=20e-6, node=8, price=5.5,
    ),
}  # fmt: skip
