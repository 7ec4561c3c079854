"""Trained weights: found, downloaded and checked, or the ones that ship with the course."""

import hashlib
import http.client
import shutil
import types

import pytest
import torch
import torchvision

from utils import train
from utils.models import pretrained as module
from utils.models.pretrained import OFFLINE, as_in_pretraining, pretrained, shipped


@pytest.fixture
def downloadable(tmp_path, monkeypatch):
    """A server, as a file: address, that has random weights for resnet18."""
    torch.manual_seed(0)
    reference = torchvision.models.resnet18()
    torch.save(reference.state_dict(), tmp_path / "weights")
    digits = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()[:8]
    server = tmp_path / "server"
    server.mkdir()
    path = server / f"resnet18-{digits}.pth"
    shutil.move(tmp_path / "weights", path)
    weights = types.SimpleNamespace(IMAGENET1K_V1=types.SimpleNamespace(url=path.as_uri()))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: weights)
    monkeypatch.delenv(OFFLINE, raising=False)
    return reference, path


def some_data(channels: int, side: int) -> train.DeviceData:
    images = torch.randint(0, 256, (6, channels, side, side), dtype=torch.uint8)
    return train.DeviceData(images, torch.arange(6) % 2, ("a", "b"), (0.5,) * channels, (0.2,) * channels)


def test_without_download_it_is_the_shipped_network_and_says_so(tmp_path):
    model, source = pretrained("resnet18", num_classes=2, download=False, folder=tmp_path)
    assert "eight classes of Fashion-MNIST" in source
    assert "no download wanted" in source
    assert model.fc.out_features == 2
    assert model.pretraining["in_channels"] == 1


def test_the_shipped_network_asked_for_by_name_looks_nowhere(downloadable, tmp_path):
    pretrained("resnet18", folder=tmp_path / "cache")  # in the cache, and yet not taken
    model, source = pretrained("resnet20_fashion8", num_classes=3, folder=tmp_path / "cache")
    assert source.endswith("eight classes of Fashion-MNIST")
    assert model.fc.out_features == 3
    assert model.pretraining["in_channels"] == 1


def test_the_environment_keeps_it_offline(tmp_path, monkeypatch):
    monkeypatch.setenv(OFFLINE, "1")
    monkeypatch.setattr(module.urllib.request, "urlopen", lambda *a, **k: pytest.fail("asked the network"))
    assert "no download wanted" in pretrained(folder=tmp_path)[1]


@pytest.mark.parametrize("error", [TimeoutError, http.client.BadStatusLine("no HTTP")])
def test_a_network_that_is_down_is_no_error(tmp_path, monkeypatch, error):
    def down(*args, **kwargs):
        raise error

    monkeypatch.delenv(OFFLINE, raising=False)
    monkeypatch.setattr(module.urllib.request, "urlopen", down)
    _model, source = pretrained(folder=tmp_path)
    assert "could not be downloaded" in source
    assert not list(tmp_path.iterdir())


def test_downloaded_weights_are_torchvisions_and_are_kept(downloadable, tmp_path):
    reference, _ = downloadable
    model, source = pretrained("resnet18", num_classes=3, folder=tmp_path / "cache")
    assert "ImageNet" in source
    assert source.endswith("downloaded")
    reference.fc = model.fc
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.eval()(x), reference.eval()(x))
    assert pretrained(folder=tmp_path / "cache", download=False)[1].endswith("found in PyTorch's cache")


def test_a_damaged_download_is_not_used(downloadable, tmp_path):
    downloadable[1].write_bytes(b"something else")
    model, source = pretrained(folder=tmp_path / "cache")
    assert "damaged" in source
    assert model.pretraining["in_channels"] == 1
    assert not list((tmp_path / "cache").iterdir())


def test_the_shipped_network_knows_its_eight_classes():
    model = shipped()
    assert not {"Shirt", "Coat"} & set(model.classes)
    assert len(model.classes) == 8
    _, test_set = train.load(sample=True, device="cpu")
    known = torch.tensor([test_set.classes.index(name) for name in model.classes])
    test_set = test_set[torch.isin(test_set.labels, known)][:300]
    chosen = known[train.predict(model, as_in_pretraining(model, test_set)).argmax(1)]
    assert (chosen == test_set.labels).float().mean() > 0.9


def test_shipped_weights_that_were_changed_are_refused(tmp_path, monkeypatch):
    shutil.copytree(module.WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / f"{module.SHIPPED}.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(module, "WEIGHTS", tmp_path / "weights")
    with pytest.raises(ValueError, match="SHA-256"):
        shipped()


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 96), (3, 28), (1, 20)])
def test_pictures_as_in_pretraining(channels, side, tmp_path):
    model, _ = pretrained(download=False, folder=tmp_path)
    pictures = as_in_pretraining(model, some_data(channels, side))
    assert pictures.images.shape == (6, 1, 28, 28)
    assert pictures.images.dtype == torch.uint8
    assert pictures.mean == pytest.approx(model.pretraining["mean"])
    model.pretraining = dict(module.IMAGENET)
    pictures = as_in_pretraining(model, some_data(channels, side))
    assert pictures.images.shape == (6, 3, side, side)
    assert len(pictures.std) == 3


@pytest.mark.parametrize("wrong", [{"name": "vgg16"}, {"num_classes": 0}, {"num_classes": 2.0}])
def test_bad_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        pretrained(**{"download": False} | wrong)
