"""Would generated images help your classifier? Each verb takes paths first, then flags.

    jaxgan experiment DIR --budget 10m     answer that, for a folder with a folder for each class
    jaxgan prepare DIR --out SET --resolution 64      look at images, and make a set that loads fast
    jaxgan train CONFIG --data DIR         train one GAN or classifier
    jaxgan sample RUN --num 64 --out DIR   draw images from a trained GAN
    jaxgan view RUN                        write a page to look at the images of a GAN
    jaxgan predict RUN IMAGES...           say of which class images are
    jaxgan evaluate RUN DIR                measure a classifier on labelled images
    jaxgan evaluate REAL GENERATED         measure generated images beside real ones
    jaxgan gan-train REAL GENERATED        measure what a classifier learns from generated images
    jaxgan export RUN --out DIR            write a generator or a classifier for other programs
    jaxgan convert SOURCE OUT              read a published network as a run, or write safetensors
    jaxgan push RUN USER/NAME              upload to the Hugging Face hub
    jaxgan pull USER/NAME DIR              download from there
    jaxgan configs [NAME]                  list the configs, or show one
    jaxgan runs [DIR]                      list the runs in a folder, with their state
    jaxgan doctor                          versions, devices, memory, extras
    jaxgan completion bash|zsh|fish        completion for a shell

Settings of a config: --set train.steps=2000, or --config.train.steps=2000. All flags of a verb:
jaxgan VERB --help. Without images of your own: jaxgan experiment toy --budget 5m. Exit codes:
0 done, 1 bad input, 2 bad usage.
"""

import difflib
import re
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxgan.system import screen

# The flags that a verb's leading words are: a choice for each number of words.
WORDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "experiment": ((), ("--config.data.path",)),
    "prepare": ((), ("--source",)),
    "train": ((), ("--config",), ("--config", "--config.data.path")),
    "sample": ((), ("--workdir",)),
    "predict": ((), ("--workdir",), ("--workdir", "--images")),
    "evaluate": ((), ("--workdir",), ("--workdir", "--data")),
    "gan-train": ((), ("--fake",), ("--real", "--fake")),
    "convert": ((), ("--source",), ("--source", "--out")),
    "export": ((), ("--workdir",)),
    "view": ((), ("--workdir",)),
    "push": ((), ("--source",), ("--source", "--repo")),
    "pull": ((), ("--repo",), ("--repo", "--out")),
}
NAMES = {"--config": "CONFIG", "--workdir": "RUN", "--source": "SOURCE", "--out": "OUT"}
NAMES |= {"--repo": "USER/NAME"}
# What a verb cannot do without, one of several choices, and how it is called then.
NEEDS: dict[str, tuple[tuple[tuple[str, ...], ...], str]] = {
    "experiment": (
        (("config.data.path",), ("config",), ("compare",)),
        "jaxgan experiment DIR --budget 10m, where DIR holds a folder for each class or is toy",
    ),
    "prepare": ((("source", "resolution"),), "jaxgan prepare DIR --out SET --resolution 64"),
    "train": ((("config",),), "jaxgan train CONFIG --data DIR; jaxgan configs lists them"),
    "sample": ((("workdir",),), "jaxgan sample RUN --num 64 --out DIR"),
    "predict": ((("workdir", "images"),), "jaxgan predict RUN IMAGES..."),
    "evaluate": (
        (("workdir", "data"), ("real", "fake")),
        "jaxgan evaluate RUN DIR, or jaxgan evaluate REAL GENERATED",
    ),
    "gan-train": ((("real", "fake"),), "jaxgan gan-train REAL GENERATED"),
    "convert": ((("source", "out"),), "jaxgan convert SOURCE OUT"),
    "export": ((("workdir", "out"),), "jaxgan export RUN --out DIR"),
    "view": ((("workdir",),), "jaxgan view RUN"),
    "push": ((("source", "repo"),), "jaxgan push RUN USER/NAME"),
    "pull": ((("repo", "out"),), "jaxgan pull USER/NAME DIR"),
}
CONFIGS = {"experiment": "quickstart", "gan-train": "resnet"}  # Where none is given.
HELP = ("-h", "--help", "help")
SHELLS = {
    "bash": """_jaxgan() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" flags=""
    case "${{COMP_WORDS[1]}}" in
{bash_flags}
    esac
    if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "{verbs}" -- "$word"))
    elif [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
    elif [ "${{COMP_WORDS[1]}}" = train ] || [ "${{COMP_WORDS[1]}}" = configs ]; then
        COMPREPLY=($(compgen -W "{configs}" -- "$word") $(compgen -f -- "$word"))
    else COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -F _jaxgan jaxgan""",
    "zsh": """#compdef jaxgan
_jaxgan() {{
    local flags=""
    case "$words[2]" in
{bash_flags}
    esac
    if (( CURRENT == 2 )); then compadd {verbs}
    elif [[ "$words[CURRENT]" == -* ]]; then compadd -- ${{=flags}}
    elif [[ $words[2] == (train|configs) ]]; then compadd {configs}; _files
    else _files; fi
}}
compdef _jaxgan jaxgan""",
    "fish": """complete -c jaxgan -n __fish_use_subcommand -f -a "{verbs}"
complete -c jaxgan -n "__fish_seen_subcommand_from train configs" -a "{configs}"
{fish_flags}""",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run a verb; return like a script, or exit with its code."""
    if argv is None:  # The process is this command's own.
        import jaxgan.cli.interrupts  # noqa: F401  # Closed pipes and Ctrl-C, as in scripts.
    _run(list(sys.argv[1:] if argv is None else argv))
    sys.stdout.flush()


def _run(words: list[str]) -> None:
    if words[1:] and words[0] in HELP:
        words = [words[1], "--help"]
    if not words or words[0] in HELP:
        print((__doc__ or "").strip())
        sys.exit(0 if words else 2)
    verb, rest = words[0].replace("_", "-"), words[1:]
    if verb == "--version":
        if rest:
            _refuse(f"--version takes no words, got {' '.join(rest)}")
        from jaxgan import __version__

        print(__version__)
    elif verb in OWN:
        if {"-h", "--help"} & set(rest):
            print((OWN[verb].__doc__ or "").strip())
            return
        if flags := [word for word in rest if word.startswith("-")]:
            _refuse(f"{verb} takes no flags, got {flags[0]}")
        if len(rest) > MOST.get(verb, 0):
            most = MOST.get(verb, 0)
            _refuse(f"{verb} takes {('no words', 'one word')[most]}, got {' '.join(rest)}")
        try:
            OWN[verb](rest)
        except (OSError, UnicodeError) as error:
            where = getattr(error, "filename", None) or " ".join(rest)
            why = getattr(error, "strerror", None) or str(error)
            _refuse(f"{where} must be readable: {why}", 1)
    elif verb in WORDS:
        _script(verb, rest)
    else:
        near = difflib.get_close_matches(verb, [*VERBS, "--help", "--version"], 1)
        _refuse(f"no verb {verb!r}" + (f": did you mean {near[0]}?" if near else ": jaxgan --help"))


def arguments(verb: str, words: Sequence[str]) -> list[str]:
    """Return a script's flags for the words after a verb.

    Args:
        verb: of `WORDS`.
        words: paths first, then flags.

    Raises:
        ValueError: more paths than the verb takes, or less than it needs.
    """
    count = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    paths, rest = words[:count], list(words[count:])
    if verb == "evaluate" and len(paths) == 2 and _is_images(paths[0]):
        names: tuple[str, ...] = ("--real", "--fake")
    elif verb == "predict" and len(paths) > 1:
        names = ("--workdir", *["--images"] * (len(paths) - 1))
    elif len(paths) < len(WORDS[verb]):
        names = WORDS[verb][len(paths)]
    else:
        most = " ".join(NAMES.get(name, "DIR") for name in WORDS[verb][-1])
        whole = " ".join(paths)
        quoted = f': quote it, "{whole}"' if Path(whole).exists() else ""
        raise ValueError(f"{verb} takes {most} and then flags, got {whole}{quoted}")
    flags = [f"{name}={path}" for name, path in zip(names, paths, strict=True)]
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name == "--set":
            setting = value if equals else rest.pop(0) if rest else ""
            if "=" not in setting:
                raise ValueError(f"--set takes NAME=VALUE, like train.steps=2000, got {setting!r}")
            flags.append(f"--config.{setting}")
        elif name == "--data" and verb in ("train", "experiment"):
            flags.append(f"--config.data.path={value if equals else rest.pop(0) if rest else ''}")
        else:
            flags.append(word)
    _check_needed(verb, flags, first=bool(paths))
    own = "--compare" in " ".join(flags)
    at = next((i for i, f in enumerate(flags) if f.partition("=")[0] == "--config"), 0)
    if at:  # It must come before its settings.
        count = 1 + (flags[at] == "--config")
        flags = flags[at : at + count] + flags[:at] + flags[at + count :]
    if verb in CONFIGS and not own and not any(f.partition("=")[0] == "--config" for f in flags):
        flags.insert(0, f"--config={CONFIGS[verb]}")
    return flags


def in_words(verb: str, text: str) -> str:
    """Return a script's help with its examples as those of a verb: `arguments` backwards."""

    def rewritten(example: re.Match[str]) -> str:
        rest = re.sub(r"configs/(\w+)\.py", r"\1", example[1])
        rest = rest.replace(f" --config {CONFIGS.get(verb)}", "")
        for names in sorted([*WORDS[verb], ("--real", "--fake")], key=len, reverse=True):
            found = [re.search(rf" {re.escape(name)}[ =](\S+)", rest) for name in names]
            if all(found):
                for one in filter(None, found):
                    rest = rest.replace(one[0], "", 1)
                return " ".join(["jaxgan", verb, *(one[1] for one in found if one)]) + rest
        return f"jaxgan {verb}{rest}"

    text = re.sub(r"python scripts/\w+\.py\b(.*)", rewritten, text)
    if verb in ("train", "experiment"):
        text += "\n\n--data DIR is --config.data.path=DIR, --set a.b=value is --config.a.b=value."
    return text


def _check_needed(verb: str, flags: Sequence[str], first: bool) -> None:
    """Raise ValueError where a verb lacks what it needs, with how it is called.

    Args:
        verb: of `WORDS`.
        flags: that were given.
        first: whether words came before them.
    """
    given = {flag.partition("=")[0].lstrip("-").replace("-", "_") for flag in flags}
    choices, usage = NEEDS[verb]
    if not {"help", "h", "helpfull"} & given and not any(given >= {*one} for one in choices):
        for name in {name for one in choices for name in one} - given:
            if near := difflib.get_close_matches(name, given, 1):
                raise ValueError(f"there is no flag --{near[0]}: did you mean --{name}?")
        late = not first and any(not flag.startswith("-") for flag in flags)
        raise ValueError(f"{verb} needs more{', paths first' * late}: {usage}")


def _is_images(path: str) -> bool:
    """Return whether a path is a folder of images, and no run, or an archive."""
    place = Path(path)
    if place.is_dir():
        return not (place / "config.json").exists()
    return place.is_file() and place.suffix.lower() in (".zip", ".tar", ".tgz", ".gz")


def _script(verb: str, words: Sequence[str]) -> None:
    from jaxgan.config import loading

    try:
        flags = arguments(verb, words)
    except ValueError as error:
        _refuse(str(error))
    sys.argv = [f"jaxgan {verb}", *flags]
    if not {"-h", "--help"} & {*flags}:
        screen.greet("loading JAX ...")
    file = loading.folder("scripts") / f"{verb.replace('-', '_')}.py"
    # As `runpy.run_path` does, but that would put the script's path into `sys.argv`.
    module = types.ModuleType("__main__")
    module.__file__ = str(file)
    sys.modules["__main__"] = module
    exec(compile(file.read_text(), file, "exec"), module.__dict__)


def _configs(words: Sequence[str]) -> None:
    """jaxgan configs [NAME]: list the configs, one line each, or print one of them."""
    from jaxgan.config import loading
    from jaxgan.errors import InputError

    if words:
        try:
            print(Path(loading.find(words[0]).partition(":")[0]).read_text(), end="")
        except InputError as error:
            _refuse(str(error))
        return
    for name in loading.known():
        text = (loading.folder("configs") / f"{name}.py").read_text()
        print(f"{name:<22} {text.partition(chr(10))[0].strip(chr(34)).strip()}")


def _runs(words: Sequence[str]) -> None:
    """jaxgan runs [DIR]: list the runs in a folder (runs by default), their state and figures."""
    from jaxgan.cli import runs

    place = words[0] if words else "runs"
    if not place.strip() or not Path(place).is_dir():
        _refuse(f"{place or repr(place)} must be a folder of runs, and it is none", 1)
    table = runs.table(place)
    if table.startswith("no runs"):
        _refuse(f"{table}: what jaxgan train and jaxgan experiment made lies in runs", 1)
    print(table)


def _doctor(words: Sequence[str]) -> None:
    """jaxgan doctor: print versions, devices, memory, the cache folder and the extras."""
    from jaxgan.cli import runs

    print(runs.doctor())


def _completion(words: Sequence[str]) -> None:
    """jaxgan completion bash|zsh|fish: print what makes a shell complete verbs and configs."""
    from jaxgan.config import loading

    if len(words) != 1 or words[0] not in SHELLS:
        _refuse(f"completion takes one of {', '.join(SHELLS)}")
    flags = {verb: _flags(verb) for verb in WORDS}
    print(
        SHELLS[words[0]].format(
            verbs=" ".join(VERBS),
            configs=" ".join(loading.known()),
            bash_flags="\n".join(
                f"    {verb}) flags='{' '.join(f'--{name}' for name in names)}' ;;"
                for verb, names in flags.items()
            ),
            fish_flags="\n".join(
                f'complete -c jaxgan -n "__fish_seen_subcommand_from {verb}" -l {name}'
                for verb, names in flags.items()
                for name in names
            ),
        )
    )


def _flags(verb: str) -> list[str]:
    """Return the flags that a verb's script defines, without running it."""
    from jaxgan.config import loading

    text = (loading.folder("scripts") / f"{verb.replace('-', '_')}.py").read_text()
    found = re.findall(r'(?:DEFINE_\w+|path_flag)\(\s*"(\w+)"', text)
    for name in re.findall(r"command\.(\w+)_flags?\(", text):
        found += {"config": ["config", "set"], "host": ["coordinator"]}.get(name, [name])
    return sorted({*found, *(["data"] if verb in ("train", "experiment") else [])})


def _refuse(sentence: str, code: int = 2) -> None:
    print(f"jaxgan: {sentence}", file=sys.stderr)
    sys.exit(code)


OWN: dict[str, Callable[[Sequence[str]], None]] = {
    "configs": _configs,
    "runs": _runs,
    "doctor": _doctor,
    "completion": _completion,
}
MOST = {"configs": 1, "runs": 1, "completion": 1}  # Words that they take; else none.
VERBS = (*WORDS, *OWN)

if __name__ == "__main__":
    main()
