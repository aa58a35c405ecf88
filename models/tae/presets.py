"""Named shapes; the paper discloses none of its widths, so each says whose they are."""

from models.tae.config import TAEConfig

PRESETS = {
    "tiny": TAEConfig(halves="compact", widths=(64, 128, 256), blocks=1),  # the toy world in minutes
    "base": TAEConfig(latent_maps=True),  # LDM's: SD 1.5 and XL can be inflated into it
    "sd35": TAEConfig(),  # SD 3.5 and FLUX: 16 channels already, no maps beside the latent
    "image": TAEConfig(halves="framewise", latent_channels=8),  # the frame-wise autoencoder of Table 10
    "ablation": TAEConfig(
        time_halvings=2, latent_channels=8
    ),  # Sec. 3.6.4's "4x, 8 channels", read as of time
}
