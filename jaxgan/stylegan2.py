"""Moved to `jaxgan.recipes.stylegan2`; stays for one release, for configs of users."""

from jaxgan.recipes.stylegan2 import choose as choose
