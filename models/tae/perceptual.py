"""How alike two pictures look: distances between the features of a frozen image network (Sec. 3.1.1).

The usual perceptual loss is LDM's: LPIPS on VGG16. Its backbone weights are a file that the user names;
without one the packaged EfficientNet-Lite0 is compared in the same way, less the learned heads, under its own
name. All take pairs of pictures "n 3 h w" with pixels in [-1, 1] and give one distance a pair.
"""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.efficientnet import CENTRE, SCALE, open_efficientnet

PerceptualName = Literal["efficientnet-lite0", "lpips-vgg", "lpips-alex"]
BACKBONES = {"lpips-vgg": "vgg16", "lpips-alex": "alexnet"}  # what torchvision calls them

Pictures = Float[Tensor, "n 3 h w"]


class FeatureDistance(nn.Module):
    """LPIPS without learned heads: the squared difference of features of unit length, at each position of
    each map that `features` makes of pictures, summed over channels, averaged over positions and then maps.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features.requires_grad_(False)
        self.train(False)

    def forward(self, pictures: Pictures, others: Pictures) -> Float[Tensor, "n"]:
        """One distance a pair; zero for equal pictures."""
        maps = self.features(torch.cat([pictures, others]))
        return torch.stack([_unlike(*map_.chunk(2)) for map_ in maps]).mean(dim=0)

    def train(self, mode: bool = True) -> "FeatureDistance":
        """Never: batch statistics would change what is measured."""
        return super().train(False)


class EfficientNetMaps(nn.Module):
    """The maps of EfficientNet-Lite0 at 1/2 to 1/32 of the resolution."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: Pictures) -> list[Tensor]:
        scaled = ((pictures + 1) * 127.5 - CENTRE) / SCALE
        return self.backbone.forward_intermediates(scaled, intermediates_only=True)  # pyright: ignore[reportCallIssue]


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity: torchmetrics' network and heads, a backbone from a file."""

    def __init__(self, name: PerceptualName, weights: Path | str) -> None:
        super().__init__()
        # The public class downloads its backbone, and refuses the values below -1 that a decoder gives.
        from torchmetrics.functional.image.lpips import _NoTrainLpips

        try:
            with torch.random.fork_rng(devices=[]):
                self.network = _NoTrainLpips(net=name.removeprefix("lpips-"), pnet_rand=True)  # pyright: ignore[reportArgumentType]
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"torchmetrics lacks the heads of LPIPS ({error}). Install it again: pip install "
                "--force-reinstall torchmetrics"
            ) from error
        _load_backbone(self.network.net, Path(weights).expanduser(), BACKBONES[name])
        self.requires_grad_(False)

    def forward(self, pictures: Pictures, others: Pictures) -> Float[Tensor, "n"]:
        """One distance a pair; zero for equal pictures."""
        return self.network(pictures, others).flatten()


def open_perceptual(name: PerceptualName, weights: Path | str | None = None) -> nn.Module:
    """The distance of that name; LPIPS needs the `weights` of torchvision's vgg16 or alexnet.

    FileNotFoundError or ValueError says which file is missing or does not fit. Nothing is downloaded.
    """
    if name in BACKBONES:
        if weights is None:
            raise ValueError(
                f"'{name}' needs the path of torchvision's {BACKBONES[name]} weights, a .safetensors or .pth "
                "file; nothing is downloaded. Give it, or take efficientnet-lite0, which a package ships."
            )
        return LPIPS(name, weights)
    if name != "efficientnet-lite0":
        raise ValueError(
            f"'{name}' is no perceptual distance. Known are: efficientnet-lite0, {', '.join(BACKBONES)}."
        )
    if weights is not None:
        raise ValueError(f"'{name}' brings its weights; '{weights}' would have no effect. Leave it out.")
    return FeatureDistance(EfficientNetMaps(open_efficientnet()))


def _unlike(map_: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    difference = normalize(map_, dim=1) - normalize(other, dim=1)
    return difference.square().sum(dim=1).mean(dim=(1, 2))


def _load_backbone(slices: nn.Module, path: Path, network: str) -> None:
    """Put torchvision's tensors "features.5.weight" where torchmetrics has them, as "slice2.5.weight"."""
    stored = _read_tensors(path)
    wanted = {key: "features." + key.split(".", 1)[1] for key in slices.state_dict()}
    for key, needed in slices.state_dict().items():
        found = stored.get(wanted[key])
        if found is None or found.shape != needed.shape:
            came = "is missing" if found is None else f"is {list(found.shape)}"
            raise ValueError(
                f"'{path}' does not hold torchvision's {network}: '{wanted[key]}' {came}, needed is "
                f"{list(needed.shape)}. Give the state dict of torchvision.models.{network}."
            )
    slices.load_state_dict({key: stored[wanted[key]] for key in wanted})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no weight file '{path}'. Nothing is downloaded: give another path."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip, safetensors and torch each raise their own kinds
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"'{path}' is no file of tensors that can be read safely: {reason}") from error
    if not isinstance(loaded, dict):
        raise ValueError(f"'{path}' holds a {type(loaded).__name__}; a state dict is needed.")
    return loaded
