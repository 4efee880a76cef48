"""StyleGAN2's nets, as StyleGAN2-ADA trains them: skip generator and residual discriminator.

Weights are N(0, 1) and are scaled where they are used, so that all learn at one rate ("equalised
learning rate": Karras et al., Progressive Growing of GANs, 2018, section 4.1). Names and layouts
of the variables are those of the published networks, see `jaxgan.weights.stylegan2_ada`.

References:
    Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks, 2019.
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020 ("2020a").
    Karras et al., Training Generative Adversarial Networks with Limited Data, 2020 ("2020b"):
    the settings, and low precision, in its appendix.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, Int

from jaxgan import prng as noises
from jaxgan.models.layers.common import CONVOLVED
from jaxgan.models.layers.convolution import conv
from jaxgan.models.layers.resampling import (
    Features,
    Other,
    conv_down,
    conv_up,
    downsample,
    upsample,
)
from jaxgan.types import Images, InputError, Keys, Latents, Logits

Styles = Float[Array, "b n"]
Ws = Float[Array, "b layers n"]
Labels = Int[Array, " b"]
ROOT2 = math.sqrt(2)
normal = nn.initializers.normal


def widths(resolution: int, channel_base: int, channel_max: int) -> dict[int, int]:
    """Features at each size from 4 to the resolution: min(channel_base / size, channel_max).

    Raises:
        InputError: the resolution is no power of two from 8 to 1024.
    """
    if resolution not in (8 << i for i in range(8)):
        raise InputError(f"resolution must be a power of two from 8 to 1024, got {resolution}")
    sizes = (4 << i for i in range(resolution.bit_length() - 2))
    return {size: max(min(channel_base // size, channel_max), 1) for size in sizes}


def precision(size: int, resolution: int, bf16_blocks: int) -> Any:
    """bfloat16 for the `bf16_blocks` highest sizes, of which 4 is none."""
    return jnp.bfloat16 if size > max(resolution >> bf16_blocks, 4) else jnp.float32


def activate(
    x: Float[Array, "b ..."],
    bias: Float[Array, " c"],
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Array, "b ..."]:
    """LeakyReLU of slope .2 with its gain sqrt(2), which keeps the variance, and the bias before.

    Args:
        x: channels last.
        bias: of each channel.
        gain: a further one.
        clamp: the largest absolute value, before the further gain.
    """
    x += bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return clamped(nn.leaky_relu(x, 0.2) * (ROOT2 * gain), gain, clamp)


def clamped(x: Float[Array, "b ..."], gain: float, clamp: float | None) -> Float[Array, "b ..."]:
    if clamp is None:
        return x
    bound = jnp.asarray(clamp * gain, x.dtype)
    return lax.clamp(-bound, x, bound)


class Dense(nn.Module):
    """A matrix with equalised learning rate, and a bias.

    Attributes:
        features: that come out.
        rate: times the learning rate of other layers.
        bias: where it begins.
        active: whether `activate` follows.
    """

    features: int
    rate: float = 1.0
    bias: float = 0.0
    active: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        """x [b, i] to [b, features]."""
        inputs = x.shape[1]
        weight = self.param("weight", normal(1 / self.rate), (inputs, self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias), (self.features,))
        x = x @ (weight * (self.rate / math.sqrt(inputs)))
        bias = bias * self.rate
        return activate(x, bias) if self.active else x + bias[None]


def normalised(x: Float[Array, "b n"]) -> Float[Array, "b n"]:
    """To a mean square of 1 in each row."""
    return x * lax.rsqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)


def check_labels(labels: Labels | None, num_classes: int) -> None:
    """Raises InputError for labels without classes, and the reverse."""
    if (labels is None) != (num_classes == 0):
        have = "none" if labels is None else "some"
        raise InputError(
            f"labels must be given to a network with classes and to no other, got {have} for one "
            f"of {num_classes} classes"
        )


class Mapping(nn.Module):
    """Latents and classes to styles w: layers that learn a hundred times slower than others.

    A class is a vector that is learnt, and stands beside the latent. The discriminator has such a
    network for classes alone.

    Attributes:
        features: of w.
        layers: how many.
        num_classes: 0 for none.
        average: keep the average of w, "w_avg" in `batch_stats`.
        axis_name: the `pmap` axis over which the batch is split, if any.
    """

    features: int
    layers: int
    num_classes: int = 0
    average: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Latents | None, labels: Labels | None, beta: float | None = None
    ) -> Styles:
        """z [b, z], or None for classes alone, and labels [b] to w [b, features].

        `beta` is how much of the old average is kept; where it is None the average stays.
        """
        check_labels(labels, self.num_classes)
        parts = [] if z is None else [normalised(z)]
        if labels is not None:
            one_hot = jax.nn.one_hot(labels, self.num_classes)
            parts.append(normalised(Dense(self.features, name="embed")(one_hot)))
        w = jnp.concatenate(parts, axis=1)
        for i in range(self.layers):
            w = Dense(self.features, rate=0.01, active=True, name=f"fc{i}")(w)
        if self.average:
            average = self.variable("batch_stats", "w_avg", jnp.zeros, self.features)
            if beta is not None:
                mean = lax.stop_gradient(w.mean(axis=0))
                if self.axis_name is not None:
                    mean = lax.pmean(mean, self.axis_name)
                average.value = mean + beta * (average.value - mean)
        return w


def modulated_conv(
    x: Features,
    weight: Float[Array, "kh kw c o"],
    styles: Float[Array, "b c"],
    demodulate: bool = True,
    up: bool = False,
) -> Other:
    """A convolution whose weights each picture's style scales (2020a, eq. 1 to 3).

    It scales what goes in, and what comes out in place of demodulating the weights: the same by
    linearity, and one convolution for the batch.

    Args:
        x: [b, h, w, i], in the precision to compute in.
        weight: HWIO, float32.
        styles: of each input feature, float32.
        demodulate: divide by the deviation that white noise of unit variance would come out with.
        up: to twice the size, see `resampling.conv_up`.
    """
    if demodulate and x.dtype != jnp.float32:
        # Demodulation undoes any factor of either: with 1 as the largest nothing grows.
        weight = weight / jnp.abs(weight).max(axis=(0, 1, 2), keepdims=True)
        weight = weight / math.sqrt(math.prod(weight.shape[:3]))
        styles = styles / jnp.abs(styles).max(axis=1, keepdims=True)
    kernel = weight.astype(x.dtype)
    x = x * styles.astype(x.dtype)[:, None, None]
    x = conv_up(x, kernel) if up else conv(x, kernel, 1, weight.shape[0] // 2)
    x = checkpoint_name(x, CONVOLVED)
    if demodulate:
        scales = lax.rsqrt(styles**2 @ (weight**2).sum(axis=(0, 1)) + 1e-8)
        x = x * scales.astype(x.dtype)[:, None, None]
    return x


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
        dtype: of the computation; pictures are summed in float32.
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
        """The features and the picture of half this size, None at 4 x 4, to this size's.

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
    """Styles to pictures: each size adds its colours to the smaller one's ("skip": 2020a, fig. 7).

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
        """Styles [b, num_ws, w] to pictures; see `Generator.synthesise`."""

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
    """Latents to pictures.

    Attributes:
        resolution: of the pictures, a power of two from 8 to 1024.
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
        """Styles that a picture has: one for each convolution, and one for the last colours."""
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
        """Draws with constant noise.

        Args:
            z: [b, latent_dim], standard normal.
            train: changes nothing: what training needs besides are methods of their own.
            labels: [b], for a generator with classes.

        Returns:
            Pictures [b, resolution, resolution, 3], float32, about in [-1, 1].

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
        """Styles [b, num_ws, w_dim], one w for all layers of a picture.

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
        """Pictures [b, resolution, resolution, 3], float32, about in [-1, 1].

        Args:
            ws: [b, num_ws, w_dim].
            noise: of each pixel: "const", the network's own; "random", drawn; or "none".
            key: for random noise, of the batch or of each picture [b].
        """
        return self.synthesis(ws, noise, key)

    def _ws(self, z: Latents, labels: Labels | None, beta: float | None = None) -> Ws:
        if z.shape[1] != self.latent_dim:
            raise InputError(f"latents must be of {self.latent_dim}, got {z.shape[1]}")
        w = self.mapping(z, labels, beta)
        return jnp.broadcast_to(w[:, None], (w.shape[0], self.num_ws, self.w_dim))


def minibatch_deviation(x: Features, group_size: int = 4, axis_name: str | None = None) -> Other:
    """x with one more feature: how much its group of pictures differs, on average.

    The deviation of each value within a group, and its mean over all values. Picture i of b is in
    group i % (b / group_size), within the batch of all devices.

    Args:
        x: [b, h, w, c].
        group_size: pictures in a group; where it does not divide the batch, the next smaller
            number that does.
        axis_name: the `pmap` axis over which the batch is split, if any.

    References:
        Karras et al., Progressive Growing of GANs for Improved Quality, Stability, and Variation,
        2018, section 3.
    """
    whole = x.astype(jnp.float32)
    if axis_name is not None:
        whole = lax.all_gather(whole, axis_name, tiled=True)
    group = max(n for n in range(1, group_size + 1) if len(whole) % n == 0)
    groups = whole.reshape(group, len(whole) // group, -1)
    deviations = jnp.sqrt(groups.var(axis=0) + 1e-8).mean(axis=1)  # [groups]
    each = jnp.tile(deviations, group)
    if axis_name is not None:
        each = lax.dynamic_slice_in_dim(each, lax.axis_index(axis_name) * len(x), len(x))
    each = jnp.broadcast_to(each[:, None, None, None], (*x.shape[:3], 1))
    return jnp.concatenate([x, each.astype(x.dtype)], axis=3)


class Conv(nn.Module):
    """A convolution with equalised learning rate, bias and activation.

    Attributes:
        features: that come out.
        window: 1 or 3.
        down: to half the size, with the filter before.
        active: whether there are a bias and `activate`.
        gain: a further one.
        clamp: the largest absolute value before that gain, if any.
    """

    features: int
    window: int
    down: bool = False
    active: bool = True
    gain: float = 1.0
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: Features) -> Other:
        """x [b, h, w, i] to [b, h2, w2, features], in its dtype."""
        shape = (self.window, self.window, x.shape[3], self.features)
        weight = self.param("weight", normal(1.0), shape) / math.sqrt(math.prod(shape[:3]))
        if not self.active:
            weight = weight * self.gain
        kernel = weight.astype(x.dtype)
        if not self.down:
            x = conv(x, kernel, 1, self.window // 2)
        else:
            x = conv_down(x, kernel) if self.window == 3 else conv(downsample(x), kernel)
        x = checkpoint_name(x, CONVOLVED)
        if not self.active:
            return clamped(x, self.gain, self.clamp)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return activate(x, bias, self.gain, self.clamp)


class DiscriminatorBlock(nn.Module):
    """Two convolutions to half the size, beside one of 1 x 1 ("resnet": 2020a, fig. 7).

    Attributes:
        inputs: features of the first convolution.
        features: that come out.
        first: the block starts from pictures.
        dtype: of the computation.
        clamp: of each convolution.
    """

    inputs: int
    features: int
    first: bool
    dtype: Any
    clamp: float | None

    @nn.compact
    def __call__(self, x: Features) -> Other:
        """x [b, h, w, i] to [b, h / 2, w / 2, features] in `dtype`."""
        x = x.astype(self.dtype)
        if self.first:
            x = Conv(self.inputs, 1, clamp=self.clamp, name="fromrgb")(x)
        half = math.sqrt(0.5)  # Keeps the variance of the sum.
        y = Conv(self.features, 1, True, False, half, self.clamp, name="skip")(x)
        x = Conv(self.inputs, 3, clamp=self.clamp, name="conv0")(x)
        x = Conv(self.features, 3, True, gain=half, clamp=self.clamp, name="conv1")(x)
        return x + y


class DiscriminatorEnd(nn.Module):
    """From features at 4 x 4 to one logit, or to as many numbers as there are features.

    Attributes:
        outputs: 1, or those numbers.
        clamp: of the convolution.
        group_size: of `minibatch_deviation`.
        axis_name: likewise.
    """

    outputs: int
    clamp: float | None
    group_size: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Features) -> Float[Array, "b o"]:
        features = x.shape[3]
        x = minibatch_deviation(x.astype(jnp.float32), self.group_size, self.axis_name)
        x = Conv(features, 3, clamp=self.clamp, name="conv")(x)
        x = Dense(features, active=True, name="fc")(x.reshape(len(x), -1))
        return Dense(self.outputs, name="out")(x)


class Discriminator(nn.Module):
    """Pictures to logits; with classes, those of a picture and its class.

    Attributes:
        resolution: of the pictures, a power of two from 8 to 1024.
        num_classes: 0 for a discriminator without.
        channel_base: features times size, where there are fewer than `channel_max`.
        channel_max: the most features.
        mapping_layers: from a class to what features are projected on (the published ones have 8,
            whatever their generator's).
        clamp: the largest absolute value that a convolution puts out, if any.
        bf16_blocks: sizes, counted from the highest, that compute in bfloat16; 4 x 4 never does.
        group_size: of `minibatch_deviation`.
        axis_name: the `pmap` axis over which the batch is split, if any.

    References:
        Miyato and Koyama, cGANs with Projection Discriminator, 2018.
    """

    resolution: int
    num_classes: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    mapping_layers: int = 8
    clamp: float | None = 256.0
    bf16_blocks: int = 0
    group_size: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: Images, train: bool, labels: Labels | None = None) -> Logits:
        """Judges.

        Args:
            images: [b, resolution, resolution, 3], about in [-1, 1].
            train: changes nothing.
            labels: [b], for a discriminator with classes.

        Returns:
            Logits [b], float32: higher is more real.

        Raises:
            InputError: a resolution that is not offered or not the pictures', or labels without
                classes or the reverse.
        """
        sizes = list(widths(self.resolution, self.channel_base, self.channel_max).items())
        if images.shape[1:3] != (self.resolution, self.resolution):
            height, width = images.shape[1:3]
            raise InputError(f"pictures must be of {self.resolution} px, got {height} x {width}")
        x = images
        for (_, features), (size, inputs) in zip(sizes[-2::-1], sizes[:0:-1], strict=True):
            dtype = precision(size, self.resolution, self.bf16_blocks)
            first = size == self.resolution
            block = DiscriminatorBlock(inputs, features, first, dtype, self.clamp, name=f"b{size}")
            x = block(x)
        features = sizes[0][1]
        outputs = features if self.num_classes else 1
        end = DiscriminatorEnd(outputs, self.clamp, self.group_size, self.axis_name, name="b4")
        x = end(x)
        mapping = Mapping(features, self.mapping_layers, self.num_classes, name="mapping")
        if not self.num_classes:
            check_labels(labels, 0)
            return x[:, 0]
        direction = mapping(None, labels)
        return (x * direction).sum(axis=1) / math.sqrt(features)
