"""Float64 convolutions are plain loops on a CPU: here the compiler's work pays."""

import jax

jax.config.update("jax_disable_most_optimizations", False)
