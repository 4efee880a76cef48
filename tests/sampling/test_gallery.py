"""The page of a run's images: whole, offline, and its parts what they say."""

import base64
import hashlib
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.engine import log
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.errors import InputError
from jaxgan.sampling import gallery, sample


def made(name: str, workdir: Path) -> Path:
    """A run with a checkpoint of random weights."""
    config = configs.load(name, test=True)
    configs.claim(workdir, config)
    with Checkpoints(workdir) as checkpoints:
        state = recipes.build(config).init(jax.random.key(3))
        checkpoints.save(7, state, parse(config).given, {})
    return workdir


def test_the_page_is_whole_and_runs_its_own_script_alone(tmp_path: Path) -> None:
    run = made("dcgan64_paper", tmp_path / "run <b>")
    side = configs.read_claim(run).data.resolution
    rng = np.random.default_rng(0)
    (run / "samples").mkdir()
    for i in range(40):
        sheet = log.grid(rng.integers(0, 256, (4, side, side, 3), np.uint8))
        (run / "samples" / f"{i:07d}.png").write_bytes(log.png(sheet))
    (tmp_path / "real").mkdir()
    images = rng.integers(0, 256, (5, side, side, 3), np.uint8)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "real" / f"{i}.png")
    out = tmp_path / "view.html"
    said = gallery.write(run, out, count=3, real=str(tmp_path / "real"))
    assert "5 of 5 real images" in " ".join(said) and "No truncation" in " ".join(said)
    page = out.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "run &lt;b&gt;" in page and "<b>" not in page
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for kind, (text,) in (("script", scripts), ("style", styles)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src &#39;sha256-{digest}&#39;" in policy
    assert "style=" not in page and page.count('class="card"') == 3
    frames = [
        json.loads(text)
        for text in re.findall(r'<script type="application/json">(.*?)</script>', page)
    ]
    assert [len(of) for of in frames] == [gallery.GRIDS, gallery.STOPS * gallery.FRAMES]
    assert (frames[0][0]["says"], frames[0][-1]["says"]) == ("step 0", "step 39")


def test_a_real_image_is_nearest_to_itself() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (6, 1, 1, 3)) // 2 + rng.integers(0, 128, (6, 32, 32, 3))
    images = images.astype(np.uint8)

    class Real:
        resolution, names = 32, [f"{i}.png" for i in range(6)]
        __len__ = lambda self: 6  # noqa: E731
        __getitem__ = lambda self, i: {"image": images[i]}  # noqa: E731

    config = configs.load("dcgan64_paper", test=True)
    config.data.resolution = 32
    sampler = sample.Sampler(parse(config), 1, "", None, None)
    found = gallery._nearest(sampler, images[:2], Real(), [])
    for i, near in enumerate(found):
        assert near[0]["says"] == f"{i}.png, likeness 1.00" and len(near) == gallery.NEAREST


def test_truncation_goes_from_the_average_to_the_samples(tmp_path: Path, monkeypatch) -> None:
    run = made("stylegan2_ada128", tmp_path / "run")
    sheets = []
    monkeypatch.setattr(gallery, "_sheet", lambda image, side: sheets.append(image) or "")
    sampler = sample.restore(run)
    player = gallery._truncated(sampler, 0, [])
    assert [frame["says"] for frame in player["frames"]] == [f"psi {x:.1f}" for x in gallery.PSI]
    side = sampler.config.data.resolution
    first = sheets[0][:side, :side]
    np.testing.assert_array_equal(sheets[0][:side, side + 2 : 2 * side + 2], first)
    drawn = log.grid(np.stack([*sample.images(sampler, range(12), 12)]), 4)
    assert np.abs(sheets[-1].astype(int) - drawn).max() <= 1


def test_other_runs_are_refused_with_the_nearest_right_folder(tmp_path: Path) -> None:
    configs.claim(tmp_path / "net", configs.load("resnet", test=True))
    with pytest.raises(InputError, match=r"holds a classifier \(resnet\): jaxgan predict"):
        gallery.write(tmp_path / "net", tmp_path / "a.html")
    configs.claim(tmp_path / "all", configs.load("quickstart", test=True))
    configs.claim(tmp_path / "all" / "gan" / "cat", configs.load("dcgan64_paper", test=True))
    with pytest.raises(InputError, match=r"is an experiment's: its GANs are .*gan/cat"):
        gallery.write(tmp_path / "all", tmp_path / "a.html")
    with pytest.raises(InputError, match="must hold a checkpoint"):
        gallery.write(tmp_path / "all" / "gan" / "cat", tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
