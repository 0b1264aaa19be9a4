"""Networks by name, their weights, and what a judge computes with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.training.backbones import backbone
from model.training.config import Pooling
from model.training.failure import TrainingFailed
from model.training.network import Network
from model.training.weights import load_weights

# From torchvision's published files.
VGG16 = {
    "features.0.weight": (64, 3, 3, 3),
    "features.28.bias": (512,),
    "classifier.0.weight": (4096, 25088),
    "classifier.3.weight": (4096, 4096),
}
ALEXNET = {
    "features.0.weight": (64, 3, 11, 11),
    "features.10.bias": (256,),
    "classifier.1.weight": (4096, 9216),
    "classifier.4.weight": (4096, 4096),
}


def random_network(name: str, pooling: Pooling, labels: int = 2) -> Network:
    torch.manual_seed(0)
    network = Network(backbone(name), labels, pooling)
    network.eval()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    torch.nn.init.normal_(network.head.bias)
    network.standardise(torch.rand(network.features), torch.rand(network.features) + 0.5)
    return network


def random_photos(network: Network, count: int = 2) -> torch.Tensor:
    shape = (count, network.side, network.side, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "published"), [("vgg16", VGG16), ("alexnet", ALEXNET)])
def test_layers_are_named_as_in_published_weight_files(
    name: str, published: dict[str, tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        found = backbone(name).published.state_dict()
    assert {key: tuple(found[key].shape) for key in published} == published
    assert len(found) == {"vgg16": 2 * 15, "alexnet": 2 * 7}[name]


@pytest.mark.parametrize("name", ["tiny", "lite0", "alexnet", "caffenet"])
def test_each_backbone_takes_photos_of_its_own_size(name: str) -> None:
    network = random_network(name, "stages")
    with torch.no_grad():
        outputs = dict(zip(network.outputs, network(random_photos(network)), strict=True))
    assert outputs["probabilities"].shape == (2, 2)
    assert torch.allclose(outputs["probabilities"].sum(1), torch.ones(2))
    assert outputs["embedding"].shape == (2, network.backbone.embedding)
    assert ("heat" in outputs) == (name in ("tiny", "lite0"))


@pytest.mark.parametrize("pooling", ["last", "stages"])
@pytest.mark.parametrize("labels", [2, 3])
def test_the_heat_adds_up_to_the_best_label_s_logit_less_the_worst_s(pooling: Pooling, labels: int) -> None:
    network = random_network("tiny", pooling, labels)
    network.temperature.fill_(1.7)
    photos = random_photos(network)
    with torch.no_grad():
        probabilities, _, heat = network(photos)
        odds = (probabilities[:, -1] / probabilities[:, 0]).log()
        assert torch.allclose(heat.mean((1, 2)) + network.bias, odds, atol=1e-4)


def test_the_heat_says_where() -> None:
    network = random_network("tiny", "stages")
    photos = torch.zeros((2, 64, 64, 3), dtype=torch.uint8)
    photos[1, :16, 48:] = 255
    with torch.no_grad():
        heat = network(photos)[2]
    changed = (heat[1] - heat[0]).abs()
    assert changed[:5, 9:].mean() > 10 * changed[7:, :7].mean()


def test_maps_of_any_size_keep_their_mean_on_the_heat() -> None:
    network = random_network("lite2", "stages")  # 260 pixels: 130, 65, 33, 17 and 9
    photos = random_photos(network, 1)
    with torch.no_grad():
        _, _, heat = network(photos)
        logits = network.logits(photos)
    assert heat.shape == (1, 14, 14)
    assert torch.allclose(heat.mean((1, 2)) + network.bias, logits[:, 1] - logits[:, 0], rtol=1e-4)


def test_the_temperature_flattens_the_probabilities_and_not_the_logits() -> None:
    network = random_network("tiny", "last")
    photos = random_photos(network)
    with torch.no_grad():
        logits = network.logits(photos)
        network.temperature.fill_(3)
        assert torch.equal(network.logits(photos), logits)
        assert torch.allclose(network(photos)[0], torch.softmax(logits / 3, 1))


def test_a_folded_head_says_the_same_of_features_as_they_are() -> None:
    network = random_network("tiny", "stages")
    photos = random_photos(network)
    with torch.no_grad():
        before = network(photos)
        network.fold()
        after = network(photos)
    assert torch.equal(network.spread, torch.ones(network.features))
    for old, new in zip(before, after, strict=True):
        assert torch.allclose(old, new, atol=1e-5)


@pytest.mark.parametrize("depth", range(5))
def test_a_network_cut_in_two_at_any_block_computes_the_same(depth: int) -> None:
    network = random_network("tiny", "stages")
    photos = random_photos(network)
    with torch.no_grad():
        cut = network.judge(network.finish(*network.begin(photos, depth), depth))
        assert torch.allclose(cut, network.logits(photos), atol=1e-6)


def test_lite0_comes_with_imagenet_s_weights() -> None:
    network = random_network("lite0", "last")
    random = network.backbone.published._conv_stem.weight.clone()
    load_weights(network.backbone, "package")
    assert not torch.equal(network.backbone.published._conv_stem.weight, random)


@pytest.mark.parametrize("kind", ["state.pt", "nested.pth", "tensors.safetensors"])
def test_weights_from_a_file_take_their_places(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(1)
    published = backbone("tiny").published.state_dict()
    file = tmp_path / kind
    if kind.endswith("safetensors"):
        save_file(published, file)
    else:
        torch.save({"state_dict": published, "epoch": 3} if "nested" in kind else published, file)
    other = backbone("tiny")
    load_weights(other, str(file))
    assert all(torch.equal(value, published[name]) for name, value in other.published.state_dict().items())


def test_imagenet_s_own_head_is_left_out(tmp_path: Path) -> None:
    fresh = backbone("lite0")
    torch.save(fresh.published.state_dict() | {"_fc.weight": torch.zeros(1000, 1280)}, tmp_path / "lite0.pth")
    load_weights(fresh, str(tmp_path / "lite0.pth"))


def test_weights_of_another_network_are_refused_in_one_sentence(tmp_path: Path) -> None:
    state = backbone("tiny").published.state_dict()
    file = tmp_path / "weights.pt"
    torch.save(state | {"0.weight": torch.zeros(8, 3, 3, 3)}, file)
    with pytest.raises(TrainingFailed, match=r"0\.weight is \(8, 3, 3, 3\), should be \(16, 3, 3, 3\)"):
        load_weights(backbone("tiny"), str(file))
    torch.save({name: value for name, value in state.items() if name != "2.bias"}, file)
    with pytest.raises(TrainingFailed, match=r"it lacks 2\.bias"):
        load_weights(backbone("tiny"), str(file))
    torch.save(state | {"top": torch.zeros(1)}, file)
    with pytest.raises(TrainingFailed, match="it has top"):
        load_weights(backbone("tiny"), str(file))


def test_weights_that_would_run_a_program_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "hacked").encode() + b"'\ntR.")
    with pytest.raises(TrainingFailed, match="damaged, or no weights at all"):
        load_weights(backbone("tiny"), str(file))
    assert not (tmp_path / "hacked").exists()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"weights .*absent\.pt cannot be read: No such file"):
        load_weights(backbone("tiny"), str(tmp_path / "absent.pt"))


def test_an_unknown_backbone_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TrainingFailed, match="take one of alexnet, caffenet, lite0"):
        backbone("resnet")


def test_a_timm_model_is_a_backbone_where_timm_is_installed() -> None:
    pytest.importorskip("timm")
    network = random_network("timm:resnet10t", "stages")
    with torch.no_grad():
        probabilities, embedding = network(random_photos(network))
    assert probabilities.shape == (2, 2)
    assert embedding.shape == (2, 512)


def test_without_timm_one_sentence_says_what_to_do() -> None:
    try:
        import timm  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(TrainingFailed, match="pip install timm"):
            backbone("timm:resnet10t")
