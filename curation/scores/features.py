"""Features of sampled frames for near-duplicates and clusters: a packaged EfficientNet-Lite0 backbone, and a
signature.

Stands in for SSCD and the video-text embedding of the paper, whose weights no package ships. The backbone
says what a picture is about; the signature (the sampled frames as tiny pictures) says whether it is the very
same picture.
"""

from collections.abc import Collection

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8

from curation.footage import Observer, Seen
from models.efficientnet import CENTRE, SCALE, open_efficientnet

FEATURES = 1280


class Backbone:
    """The model, loaded once per worker."""

    def __init__(self, size: int):
        torch.set_num_threads(1)  # one worker = one core
        self.size = size
        self.model = open_efficientnet()

    @torch.inference_mode()
    def embed(self, pictures: list[UInt8[np.ndarray, "h w 3"]]) -> Float[np.ndarray, "n d"]:
        """One feature per RGB picture, each of length 1."""
        sized = [cv2.resize(picture, (self.size, self.size), interpolation=_filter(picture, self.size))
                 for picture in pictures]  # fmt: skip
        batch = (torch.from_numpy(np.stack(sized)).float() - CENTRE) / SCALE
        features = self.model(rearrange(batch, "n h w c -> n c h w"))
        return torch.nn.functional.normalize(features, dim=1).numpy()


class Features(Observer):
    """Of the frames numbered in `indices`, as they are and mirrored, and their signature of `signature`
    pixels."""

    def __init__(self, backbone: Backbone, indices: Collection[int], signature: int):
        self.backbone, self.indices, self.signature = backbone, frozenset(indices), signature
        self.pictures: list[UInt8[np.ndarray, "s s 3"]] = []
        self.tiny: list[UInt8[np.ndarray, "s s 3"]] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            side = self.backbone.size
            self.pictures.append(cv2.resize(seen.rgb, (side, side), interpolation=_filter(seen.rgb, side)))
            self.tiny.append(
                cv2.resize(seen.rgb, (self.signature, self.signature), interpolation=cv2.INTER_AREA)
            )

    def result(self) -> dict[str, object]:
        flipped = [picture[:, ::-1] for picture in self.pictures]
        features = self.backbone.embed([*self.pictures, *map(np.ascontiguousarray, flipped)])
        plain, mirrored = (
            features[: len(self.pictures)].mean(axis=0),
            features[len(self.pictures) :].mean(axis=0),
        )
        return {
            "embedding": (plain / np.linalg.norm(plain)).astype(np.float32).tolist(),
            "mirrored": (mirrored / np.linalg.norm(mirrored)).astype(np.float32).tolist(),
            "signature": bytes([len(self.tiny), self.signature]) + np.stack(self.tiny).tobytes(),
        }


def _filter(picture: UInt8[np.ndarray, "h w 3"], size: int) -> int:
    return cv2.INTER_AREA if min(picture.shape[:2]) > size else cv2.INTER_LINEAR
