"""What training carries from step to step: arrays only, so a checkpoint is the state."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from flax import struct


class Net(struct.PyTreeNode):
    """A network's weights, batch statistics and optimiser."""

    params: Any
    stats: Any
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        return {"params": self.params, "batch_stats": self.stats}

    def descend(self, grads: Any, tx: optax.GradientTransformation, **about: Any) -> "Net":
        """Return one step of the optimiser against `grads`; what it wants to know besides is
        `about`.
        """
        tx = optax.with_extra_args_support(tx)
        updates, opt_state = tx.update(grads, self.opt_state, self.params, **about)
        return self.replace(params=optax.apply_updates(self.params, updates), opt_state=opt_state)


class GANState(struct.PyTreeNode):
    step: jax.Array  # Generator steps done, int32.
    generator: Net
    critic: Net
    ema: Any  # The generator's variables, averaged: weights and batch statistics alike.


class StyleGAN2State(struct.PyTreeNode):
    step: jax.Array  # Steps done, int32.
    generator: Net  # Its statistics: the average w, and each pixel's noise, which stays.
    critic: Net
    ema: Any  # The generator's variables: averaged weights, its statistics as they are.
    path_mean: jax.Array  # The moving average of path lengths.
    p: jax.Array  # Of the augmentations, in [0, 1].
    signs: jax.Array  # The sum of the signs of real logits, a mean a step, since p was adjusted.


class AidedGANState(GANState):
    """With a second critic. Without it the state has no such field."""

    second: Net


class AidedStyleGAN2State(StyleGAN2State):
    """Likewise."""

    second: Net


class ClassifierState(struct.PyTreeNode):
    step: jax.Array  # Optimiser steps done, int32.
    net: Net

    @property
    def variables(self) -> dict[str, Any]:
        """What predicts."""
        return self.net.variables

    def averaged(self, turn: Callable[[Any, Any], Any]) -> "ClassifierState":
        """With averages, if any, that `turn` makes of (the net's variables, those so far)."""
        return self


class AveragedState(ClassifierState):
    """A classifier's that predicts with averages. Without them the state has no such field."""

    ema: Any  # Of the net's variables, but for layers that stay as they are.

    @property
    def variables(self) -> dict[str, Any]:
        return {kind: {**x, **self.ema[kind]} for kind, x in self.net.variables.items()}

    def averaged(self, turn: Callable[[Any, Any], Any]) -> "AveragedState":
        net = self.net.variables
        new = {kind: {name: net[kind][name] for name in old} for kind, old in self.ema.items()}
        return self.replace(ema=turn(new, self.ema))


def new_net(variables: Mapping[str, Any], tx: optax.GradientTransformation) -> Net:
    """Return a net at its start."""
    params = variables["params"]
    return Net(params, variables.get("batch_stats", {}), tx.init(params))
