"""The shapes that a network is made for."""

from jaxgan.types import Images, InputError, Latents


def check_latents(latents: Latents, latent_dim: int) -> None:
    """Raise InputError for latents of another size."""
    if latents.shape[1] != latent_dim:
        raise InputError(f"latents must be of {latent_dim}, got {latents.shape[1]}")


def check_images(images: Images, resolution: int) -> None:
    """Raise InputError for images of another size."""
    if images.shape[1:3] != (resolution, resolution):
        height, width = images.shape[1:3]
        raise InputError(f"images must be of {resolution} px, got {height} x {width}")


def check_side(images: Images, least: int = 32) -> None:
    """Raise InputError for images with a side of fewer than `least` px."""
    height, width = images.shape[1:3]
    if min(height, width) < least:
        raise InputError(f"input must be at least {least} px, got {height} x {width}")
