"""Named shapes: LDM's, and one that learns the toy world in minutes on two cores."""

from models.tae.config import TAEConfig

PRESETS = {
    "base": TAEConfig(),
    "tiny": TAEConfig(halves="compact", widths=(64, 128, 256), blocks=1),
}
