"""What --help prints of a script, or of the verb that runs it."""

from absl import flags

from jaxgan.cli.main import CONFIGS, in_words


def text(name: str, doc: str) -> str:
    """Return a script's docstring with its flags.

    Args:
        name: of the script, or "jaxgan VERB".
        doc: its docstring.
    """
    verb = name.removeprefix("jaxgan ")
    if verb != name:
        doc = in_words(verb, doc)
    listed = "\n".join(
        [flags.FLAGS.module_help("jaxgan.cli.command"), flags.FLAGS.main_module_help()]
    )
    default = CONFIGS.get(verb) if verb != name else None  # A script must be given one.
    said = f"\n    (default: {default!r})" if default else ""
    return f"{doc}\n\nFlags:\n" + listed.replace("\n    (default: 'None')", said)
