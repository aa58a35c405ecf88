"""PatchGAN discriminators: is each patch of a clip real or reconstructed (Sec. 3.1.1; not disclosed: LDM's)?

Of two kinds: one judges frames alone, one patches of several frames, so that it sees motion as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky rectifier for negative values, as in LDM
INIT_STD = 0.02  # of the weights, as in LDM
WIDEST = 8  # the last layer has at most so many times the channels of the first


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Shape of a PatchGAN. The paper discloses none; these are LDM's."""

    kind: Literal["frames", "clips"] = "frames"
    """frames: 2D, each frame alone. clips: 3D, patches of several frames."""
    width: int = 64
    """Channels of the first layer; each further one doubles them, up to 8 times."""
    layers: int = 3
    """Layers that halve rows and columns (and frames, in 3D)."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.layers < 1:
            raise ValueError(
                f"A discriminator needs width and layers of at least 1; {self.width}, {self.layers} came."
            )

    @property
    def smallest(self) -> int:
        """Rows and columns that a frame must have for one logit."""
        return 3 * 2**self.layers


class Verdict(NamedTuple):
    """A logit for each patch, positive for real, and the features of each layer on the way to them."""

    logits: Tensor
    features: list[Tensor]


class PatchDiscriminator(nn.Module):
    """Strided 4 x 4 convolutions with leaky rectifiers; group norm where LDM has batch norm, whose statistics
    over the few clips of a video batch would be noise, and would tie real to reconstructed ones.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * min(2**layer, WIDEST) for layer in range(config.layers + 1)]
        self.layers = nn.ModuleList([nn.Sequential(self._conv(3, widths[0], stride=2), nn.LeakyReLU(SLOPE))])
        for layer in range(1, config.layers + 1):
            stride = 2 if layer < config.layers else 1
            self.layers.append(
                nn.Sequential(
                    self._conv(widths[layer - 1], widths[layer], stride),
                    nn.GroupNorm(1, widths[layer]),
                    nn.LeakyReLU(SLOPE),
                )
            )
        self.out = self._conv(widths[-1], 1, stride=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small normal weights, no bias."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.normal_(module.weight, std=INIT_STD)
                nn.init.zeros_(module.get_parameter("bias"))

    def check(self, rows: int, columns: int) -> None:
        """ValueError where frames are too small for one logit."""
        smallest = self.config.smallest
        if min(rows, columns) < smallest:
            raise ValueError(
                f"A discriminator of {self.config.layers} layers needs frames of at least {smallest} x "
                f"{smallest} pixels; {rows} x {columns} came. Give it fewer layers, or train on larger crops."
            )

    def forward(self, video: Float[Tensor, "b t 3 h w"]) -> Verdict:
        self.check(*video.shape[-2:])
        folded = "(b t) c h w" if self.config.kind == "frames" else "b c t h w"
        x = rearrange(video, f"b t c h w -> {folded}")
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return Verdict(self.out(x), features)

    def _conv(self, inputs: int, outputs: int, stride: int) -> nn.Conv2d | nn.Conv3d:
        if self.config.kind == "frames":
            return nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1)
        # 3 frames, so that an image passes as a clip of one
        return nn.Conv3d(inputs, outputs, (3, 4, 4), stride=stride, padding=1)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """What is computed meanwhile sends gradients through `network`, but none into its weights."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
