"""The temporal autoencoder (Sec. 3.1.1)."""

from models.tae.autoencoder import TAE, Posterior
from models.tae.config import TAEConfig

__all__ = ["TAE", "Posterior", "TAEConfig"]
