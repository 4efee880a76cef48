"""A ConfigDict is loaded, compared and checked here, and leaves as frozen sections."""

from jaxgan.config.loading import load as load
