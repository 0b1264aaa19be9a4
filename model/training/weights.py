"""Weight files: read without running what is in them, and fitted to a backbone exactly."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from model.training.backbones import Backbone
from model.training.failure import TrainingFailed
from model.training.network import Network

AUTO, PACKAGE, NONE = "auto", "package", "none"
_OURS = "backbone.published."


def chosen(backbone: Backbone, weights: str) -> str:
    """What "auto" stands for: the weights in a package, or none for a backbone that needs none.

    Raises:
        TrainingFailed: The backbone's weights are in no package.
    """
    if weights != AUTO:
        return weights
    if backbone.pretrained == "file":
        raise TrainingFailed(
            "no package has weights for this backbone; "
            "give --weights FILE, or `--weights none` to start from nothing"
        )
    return backbone.pretrained


def load_weights(backbone: Backbone, weights: str) -> None:
    """Give a backbone weights, all of them.

    Args:
        backbone: Whose weights are replaced.
        weights: "auto", "package", "none" (they stay as they are), or a file: .safetensors, .pt or .pth of
            the backbone alone, or a run's checkpoint.

    Raises:
        TrainingFailed: There is no such file, or it fits another network.
    """
    weights = chosen(backbone, weights)
    if weights == NONE:
        return
    file = backbone.packaged_weights() if weights == PACKAGE else Path(weights)
    wanted = backbone.published.state_dict()
    found = {
        name: value
        for name, value in _read(file).items()
        if not name.startswith(backbone.head_prefixes or ("\0",))
    }
    if fault := _mismatch(wanted, found):
        raise TrainingFailed(f"{file} does not fit the backbone: {fault}; give the file of this very network")
    backbone.published.load_state_dict(found)


def load_head(network: Network, weights: str) -> bool:
    """Give a network the head of another run's checkpoint; says whether there was one that fits."""
    if weights in (AUTO, PACKAGE, NONE):
        return False
    found, wanted = _read(Path(weights), ours=""), network.state_dict()
    names = ("head.weight", "head.bias", "centre", "spread")
    if not all(name in found and found[name].shape == wanted[name].shape for name in names):
        return False
    network.load_state_dict({name: found[name] for name in names}, strict=False)
    return True


def identity(backbone: Backbone, weights: str) -> str:
    """Says which weights these are: a checksum of their file; empty for none."""
    weights = chosen(backbone, weights)
    if weights == NONE:
        return ""
    file = backbone.packaged_weights() if weights == PACKAGE else Path(weights)
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _mismatch(wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> str:
    if missing := wanted.keys() - found.keys():
        return f"it lacks {min(missing)} and {len(missing) - 1} others of {len(wanted)}"
    if extra := found.keys() - wanted.keys():
        return f"it has {min(extra)} and {len(extra) - 1} others, which the backbone has not"
    for name, value in wanted.items():
        if value.shape != found[name].shape:
            return f"{name} is {tuple(found[name].shape)}, should be {tuple(value.shape)}"
    return ""


def _read(file: Path, ours: str = _OURS) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load  # noqa: PLC0415  (comes with Accelerate)

            content: Any = load(file.read_bytes())
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise TrainingFailed(f"weights {file} cannot be read: {error.strerror or error}") from error
    # Damaged files make torch and pickle raise all sorts, so this one boundary catches Exception.
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingFailed(f"weights {file} are damaged, or no weights at all ({why})") from error
    for key in ("network", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise TrainingFailed(f"weights {file} hold no table of named tensors; save a state_dict")
    published = {name.removeprefix(ours): value for name, value in content.items() if name.startswith(ours)}
    return published or content
