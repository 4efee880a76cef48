"""A ConfigDict is loaded, compared and checked here."""

from jaxgan.config.loading import load as load
