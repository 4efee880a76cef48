"""How long a step takes to trace, lower and compile, with a cold and with a warm cache.

    python benchmarks/compile_time.py --config F [--config.a.b=v]

The compilation cache is a temporary one. Prints one JSON object per figure.
"""

import re
import tempfile

import jax
import measure
from jax.experimental.compilation_cache import compilation_cache
from measure import report

from jaxgan.cli import command

measure.define_flags()


def main() -> None:
    config, name = measure.read_config()
    about = measure.describe(config, name)
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_enable_compilation_cache", False)
        cold = measure.build(config)
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        compilation_cache.reset_cache()
        for _ in range(2):  # The first one fills it.
            jax.clear_caches()
            warm = measure.build(config)
    for stage in ("trace", "lower", "compile"):
        report(about, f"{stage}_seconds", cold.seconds[stage], "s", cache="cold")
    report(about, "compile_seconds", warm.seconds["compile"], "s", cache="warm")
    text = cold.compiled.as_text()
    instructions = re.findall(r"^\s+(?:ROOT )?\S+ = .*? ([\w-]+)\(", text, re.MULTILINE)
    report(about, "instructions", len(instructions), "1")
    report(about, "fusions", instructions.count("fusion"), "1")


if __name__ == "__main__":
    command.run(main)
