"""StyleGAN2's generator: see the package."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan import prng as noises
from jaxgan.models.layers.resampling import Features, Other, upsample
from jaxgan.models.layers.shapes import check_latents
from jaxgan.models.stylegan2.layers import (
    Dense,
    Labels,
    Mapping,
    Styles,
    Ws,
    activate,
    clamped,
    modulated_conv,
    normal,
    precision,
    widths,
)
from jaxgan.types import Images, Keys, Latents


class SynthesisLayer(nn.Module):
    """A modulated 3 x 3 convolution, noise, bias and activation.

    Attributes:
        features: that come out.
        up: to twice the size.
        clamp: the largest absolute value that comes out, if any.
    """

    features: int
    up: bool
    clamp: float | None

    @nn.compact
    def __call__(
        self, x: Features, w: Styles, noise: str, pixels: Float[Array, "b h2 w2"] | None
    ) -> Other:
        """x [b, h, w, i] to [b, h, w, features], twice as high and wide with `up`.

        `noise` is "const", "none" or "random", where `pixels` is standard normal.
        """
        inputs, size = x.shape[3], x.shape[1] * (2 if self.up else 1)
        styles = Dense(inputs, bias=1.0, name="affine")(w)
        weight = self.param("weight", normal(1.0), (3, 3, inputs, self.features))
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        first = lambda: jax.random.normal(self.make_rng("params"), (size, size))  # noqa: E731
        const = self.variable("batch_stats", "noise_const", first)
        x = modulated_conv(x, weight, styles, up=self.up)
        if noise == "const":
            pixels = const.value[None]
        if pixels is not None:
            x += (pixels * strength).astype(x.dtype)[..., None]
        return activate(x, bias, clamp=self.clamp)


class ToRGB(nn.Module):
    """A modulated 1 x 1 convolution to colours, without demodulation."""

    clamp: float | None

    @nn.compact
    def __call__(self, x: Features, w: Styles) -> Float[Array, "b h w 3"]:
        """x [b, h, w, i] to float32 [b, h, w, 3]."""
        inputs = x.shape[3]
        styles = Dense(inputs, bias=1.0, name="affine")(w) / math.sqrt(inputs)
        weight = self.param("weight", normal(1.0), (1, 1, inputs, 3))
        bias = self.param("bias", nn.initializers.zeros, (3,))
        x = modulated_conv(x, weight, styles, demodulate=False)
        x += bias.astype(x.dtype)[None, None, None]
        return clamped(x, 1.0, self.clamp).astype(jnp.float32)


class SynthesisBlock(nn.Module):
    """The layers of one size; the first of them, which doubles the size, is missing at 4 x 4.

    Attributes:
        size: of what comes out.
        features: likewise.
        dtype: of the computation; images are summed in float32.
        clamp: of each convolution.
        axis_name: the `pmap` axis over which the batch is split, if any.
    """

    size: int
    features: int
    dtype: Any
    clamp: float | None
    axis_name: str | None

    @nn.compact
    def __call__(
        self,
        x: Features | None,
        image: Float[Array, "b h w 3"] | None,
        ws: Ws,
        noise: str,
        key: Keys | None,
    ) -> tuple[Other, Float[Array, "b h2 w2 3"]]:
        """The features and the image of half this size, None at 4 x 4, to this size's.

        `ws` is a style for each layer, the last one for the colours.
        """

        def layer(x: Array, i: int) -> Array:
            pixels = None
            if noise == "random":
                shape = (ws.shape[0], self.size, self.size)
                pixels = noises.normal(noises.fold_in(key, i), shape, self.axis_name)  # type: ignore
            module = SynthesisLayer(self.features, i == 0, self.clamp, name=f"conv{i}")
            return module(x, ws[:, i - 3], noise, pixels)

        if x is None:
            const = self.param("const", normal(1.0), (4, 4, self.features))
            x = jnp.broadcast_to(const.astype(self.dtype), (ws.shape[0], *const.shape))
        else:
            x = layer(x.astype(self.dtype), 0)
        x = layer(x, 1)
        rgb = ToRGB(self.clamp, name="torgb")(x, ws[:, -1])
        return x, rgb if image is None else rgb + upsample(image)  # type: ignore[operator]


class Synthesis(nn.Module):
    """Styles to images: each size adds its colours to the smaller one's ("skip": 2020a, fig. 7).

    See `Generator` for the attributes.
    """

    resolution: int
    channel_base: int
    channel_max: int
    clamp: float | None
    bf16_blocks: int
    axis_name: str | None

    @nn.compact
    def __call__(self, ws: Ws, noise: str = "const", key: Keys | None = None) -> Images:
        """Styles [b, num_ws, w] to images; see `Generator.synthesise`."""

        def turned(size: int) -> Keys | None:
            return None if key is None else noises.fold_in(key, size)

        x = image = None
        sizes = widths(self.resolution, self.channel_base, self.channel_max)
        for i, (size, features) in enumerate(sizes.items()):
            dtype = precision(size, self.resolution, self.bf16_blocks)
            block = SynthesisBlock(
                size, features, dtype, self.clamp, self.axis_name, name=f"b{size}"
            )
            # The style of a size's colours is that of the next size's first layer, too.
            mine = ws[:, max(2 * i - 1, 0) : 2 * i + 2]
            x, image = block(x, image, mine, noise, turned(size))
        return image  # type: ignore[return-value]


class Generator(nn.Module):
    """Latents to images.

    Attributes:
        resolution: of the images, a power of two from 8 to 1024.
        latent_dim: of z.
        num_classes: 0 for a generator without.
        w_dim: of a style.
        channel_base: features times size, where there are fewer than `channel_max`.
        channel_max: the most features.
        mapping_layers: from z to w.
        clamp: the largest absolute value that a convolution puts out, if any.
        bf16_blocks: sizes, counted from the highest, that compute in bfloat16; 4 x 4 never does.
        axis_name: the `pmap` axis over which the batch is split, if any.
    """

    resolution: int
    latent_dim: int = 512
    num_classes: int = 0
    w_dim: int = 512
    channel_base: int = 16384
    channel_max: int = 512
    mapping_layers: int = 8
    clamp: float | None = 256.0
    bf16_blocks: int = 0
    axis_name: str | None = None

    @property
    def num_ws(self) -> int:
        """Styles that an image has: one for each convolution, and one for the last colours."""
        return 2 * self.resolution.bit_length() - 4

    def setup(self) -> None:
        self.mapping = Mapping(
            self.w_dim, self.mapping_layers, self.num_classes, True, self.axis_name
        )
        self.synthesis = Synthesis(
            self.resolution,
            self.channel_base,
            self.channel_max,
            self.clamp,
            self.bf16_blocks,
            self.axis_name,
        )

    def __call__(self, z: Latents, train: bool, labels: Labels | None = None) -> Images:
        """Draw with constant noise.

        Args:
            z: [b, latent_dim], standard normal.
            train: changes nothing: what training needs besides are methods of their own.
            labels: [b], for a generator with classes.

        Returns:
            Images [b, resolution, resolution, 3], float32, about in [-1, 1].

        Raises:
            InputError: a resolution that is not offered, latents of another size, or labels
                without classes or the reverse.
        """
        return self.synthesise(self.to_ws(z, labels))

    def to_ws(
        self,
        z: Latents,
        labels: Labels | None = None,
        truncation: float = 1.0,
        cutoff: int | None = None,
    ) -> Ws:
        """Styles [b, num_ws, w_dim], one w for all layers of an image.

        Args:
            z: [b, latent_dim], standard normal.
            labels: [b], for a generator with classes.
            truncation: psi, how far w stays from its average (2019, appendix B).
            cutoff: layers with truncation, counted from the coarsest; all where None.
        """
        ws = self._ws(z, labels)
        if truncation == 1.0:
            return ws
        mean = self.mapping.get_variable("batch_stats", "w_avg")[None, None]
        truncated = jnp.arange(self.num_ws) < (self.num_ws if cutoff is None else cutoff)
        return jnp.where(truncated[None, :, None], mean + truncation * (ws - mean), ws)

    def w_average(self, z: Latents, labels: Labels | None = None, beta: float = 0.995) -> Ws:
        """`to_ws` without truncation, which moves w's average ("batch_stats", mutable) to these.

        Args:
            z: [b, latent_dim], standard normal.
            labels: [b], for a generator with classes.
            beta: of the old average that is kept.
        """
        return self._ws(z, labels, beta)

    def synthesise(self, ws: Ws, noise: str = "const", key: Keys | None = None) -> Images:
        """Return images [b, resolution, resolution, 3], float32, about in [-1, 1].

        Args:
            ws: [b, num_ws, w_dim].
            noise: of each pixel: "const", the network's own; "random", drawn; or "none".
            key: for random noise, of the batch or of each image [b].
        """
        return self.synthesis(ws, noise, key)

    def _ws(self, z: Latents, labels: Labels | None, beta: float | None = None) -> Ws:
        check_latents(z, self.latent_dim)
        w = self.mapping(z, labels, beta)
        return jnp.broadcast_to(w[:, None], (w.shape[0], self.num_ws, self.w_dim))
