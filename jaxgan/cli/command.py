"""What every script does around its one call: flags, config, errors as sentences, exit codes.

Exit codes: 0 done, 1 bad input or refused, 2 bad usage; 129, 130 and 143 after the loss of the
terminal, Ctrl-C and SIGTERM. Who reads standard output may leave: the program goes on without.
"""

import ast
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxgan.cli import complaints
from jaxgan.config import loading as configs
from jaxgan.errors import InputError
from jaxgan.system import checked_files, paths, screen, terminal

FLAGS = flags.FLAGS
LONGEST = 700  # Characters of a sentence.
paths.path_flag(
    "compilation_cache",
    "Folder for compiled programs, or off; by default jaxgan/xla in the user's cache folder.",
    remote=True,
)


def run(
    main: Callable[..., None],
    argv: Sequence[str] | None = None,
    *,
    devices: bool = True,
    others_with: str | None = None,
) -> None:
    """Parse the flags, call `main` and exit with the right code.

    Args:
        main: the script's one call; reads its flags from `FLAGS`.
        argv: the command line; `sys.argv` by default.
        devices: whether JAX is wanted; else `main` calls `use_devices` where it is.
        others_with: a flag; where it is given, flags that are not known here are admitted. `main`
            is then called with them, a list that is empty without that flag.
    """
    terminal.protect()
    argv = [_underscored(argument) for argument in (sys.argv if argv is None else argv)]
    name = Path(argv[0]).name
    if {"-h", "--help"} & set(argv[1:]):
        from jaxgan.cli import script_help

        print(script_help.text(name, (sys.modules["__main__"].__doc__ or name).strip()))
        sys.exit(0)
    try:
        argv = _with_config(argv)
        config = _check_overrides(argv)
        values = configs.flat(config) if config is not None else {}
        argv = [_with_tuple(values, argument) for argument in argv]
        others = others_with is not None and _has(argv, others_with)
        extra = FLAGS(argv, known_only=others)[1:]
        if extra and not others:
            raise InputError(f"arguments must be flags (--name=value), got {extra[0]!r}")
        if "coordinator" in FLAGS:
            check_hosts(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    except flags.IllegalFlagValueError as error:
        _fail(name, complaints.wrong_type(config, error), 2)
    except flags.UnrecognizedFlagError as error:
        _fail(name, complaints.unknown(error, [*FLAGS]), 2)
    except (flags.Error, InputError, OSError) as error:
        _fail(name, error, 2)
    except KeyboardInterrupt:  # Raised by a config: a signal ends all before `begin`.
        _fail(name, InputError("stopped"), 130)
    screen.begin(FLAGS.log if "log" in FLAGS else "auto")
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    # Orbax prints the traceback of what it raises: here it becomes a sentence.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    from jaxgan.cli import interrupts  # Not by who only imports this.

    interrupts.begin()
    for flag, values in _repeated(argv).items():
        logging.getLogger("jaxgan").warning(
            "--%s is given several times, and the last counts: %s", flag, ", then ".join(values)
        )
    try:
        if devices:
            use_devices()
        if "track" in FLAGS and FLAGS.track:
            from jaxgan.engine import tracking

            tracking.check(FLAGS.track)
            os.environ[tracking.VARIABLE] = FLAGS.track
        main(extra) if others_with else main()
        screen.end()
        sys.stdout.flush()
        lost = getattr(sys.stdout, "lost", None)
        if lost is not None and lost.errno not in interrupts.GONE:
            raise InputError(
                f"standard output must be writable, and lines of it are lost ({lost.strerror}); "
                f"what was written to files is whole"
            )
        interrupts.end()
    except InputError as error:
        _fail(name, error, 1)
    except OSError as error:
        if error.filename is None and error.errno is None:
            _end_soon(1)
            raise
        _fail(name, error, 1)
    except ImportError as error:
        remote = [
            f"--{flag} {FLAGS[flag].value}" for flag in FLAGS if "://" in str(FLAGS[flag].value)
        ]
        if not remote:
            raise
        _fail(name, InputError(f"{' and '.join(remote)} needs a package: {error}"), 1)
    except KeyboardInterrupt:
        _fail(name, InputError("stopped"), 130)
    except Exception:
        _end_soon(1)
        raise
    finally:
        screen.end()


def use_devices() -> None:
    """Set JAX up, and join the other hosts; JAX takes a second to import."""
    from jaxgan.engine import compilation_cache, distributed

    compilation_cache.avoid_slow_kernels()
    compilation_cache.keep_programs(FLAGS.compilation_cache)
    if "coordinator" in FLAGS:
        distributed.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)


def check_outputs(*files: str | None) -> None:
    """Make the folders of the files that are named; what cannot be written is an OSError now."""
    for name in filter(None, files):
        paths.check_output(name)
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        is_new = not file.exists()
        open(file, "a").close()
        if is_new:
            file.unlink()


def check_goes_with(others: Mapping[str, str]) -> None:
    """Raise InputError for a flag that would do nothing, as the one that it goes with is not given.

    Args:
        others: by a flag, that without which it does nothing.
    """
    for name, other in others.items():
        if FLAGS[name].present and not FLAGS[other].present:
            raise InputError(f"--{name} must come with --{other}, without which it does nothing")


def _end_soon(code: int) -> None:
    if "jax" in sys.modules:
        from jaxgan.engine import distributed

        distributed.end_soon(code)


def _has(argv: Sequence[str], flag: str) -> bool:
    return any(argument.partition("=")[0] == f"--{flag}" for argument in argv)


def _underscored(argument: str) -> str:
    """--dry-run=x as --dry_run=x."""
    name, equals, value = argument.partition("=")
    if not name.startswith("--"):
        return argument
    return "--" + name[2:].replace("-", "_") + equals + value


def config_flag() -> None:
    """Defines `--config` and its overrides, `--config.a.b=value`."""
    help_string = "A file, or a name that jaxgan configs lists; with :argument where it takes one."
    config_flags.DEFINE_config_file("config", help_string=help_string)
    flags.mark_flag_as_required("config")


def workdir_flag(help_string: str = "The run's folder; runs/<config> by default.") -> None:
    paths.path_flag("workdir", help_string, remote=True)


def track_flag() -> None:
    """Defines `--track`; `run` hands it on by the environment, to other processes, too."""
    flags.DEFINE_string("track", None, "Send figures and samples to wandb, mlflow or both, too.")
    flags.register_validator(
        "track",
        lambda names: not names or set(names.split(",")) <= {"wandb", "mlflow"},
        "--track must be of wandb, mlflow",
    )


def log_flag() -> None:
    """Defines `--log`: what is printed; `log.txt` and `metrics.jsonl` have everything always."""
    text = "auto: a live line on a terminal; plain: lines; quiet: results alone; json: objects."
    flags.DEFINE_enum("log", "auto", screen.MODES, text)


def host_flags() -> None:
    """Defines the flags of a program that may run on several hosts; `run` joins them."""
    flags.DEFINE_string("coordinator", None, "On several hosts: HOST:PORT of process 0.")
    flags.DEFINE_integer("num_processes", None, "How many processes there are.", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.", lower_bound=0)


def check_hosts(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Raise InputError for flags that do not tell where the other processes are."""
    given = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if coordinator is None and len(missing) == len(given):
        return
    if coordinator is None or num_processes is None or process_id is None:
        raise InputError(
            f"{', '.join(given)} must be given together, got no {' and no '.join(missing)}"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"--coordinator must be HOST:PORT, got {coordinator!r}")
    if process_id >= num_processes:
        raise InputError(
            f"--process_id must be below --num_processes ({num_processes}), got {process_id}"
        )


def overridden(prefix: str) -> list[str]:
    """Return the settings that the command line gives, whose names begin so."""
    names = config_flags.get_override_values(FLAGS["config"])
    return [name for name in names if name.startswith(prefix)]


def read_config() -> tuple[ConfigDict, str]:
    """Return the config with its overrides, lengths settled, and the run's folder."""
    from jaxgan.config import check_settings  # It imports JAX.

    config = FLAGS.config.copy_and_resolve_references()
    given = overridden("")
    if configs.is_experiment(config):
        configs.check_inherited(given)
    check_settings.check(config)
    for prefix in ("train.", "gan.train.", "classifier.train."):
        section = config
        for part in prefix.split(".")[:-1]:
            section = section.get(part) if section is not None else None
        if section is not None:
            configs.settle_length(section, given, prefix)
    spec = config_flags.get_config_filename(FLAGS["config"])
    stem = "_".join(part for part in (Path(spec.split(":")[0]).stem, *spec.split(":")[1:]) if part)
    if FLAGS.workdir and os.path.isfile(FLAGS.workdir):  # Not after the images were read.
        raise InputError(f"--workdir must be a folder, got the file {FLAGS.workdir}")
    return config, FLAGS.workdir or os.path.join("runs", stem)


def _repeated(argv: Sequence[str]) -> dict[str, list[str]]:
    """Return the flags that are given several values, but for those that take them."""
    given: dict[str, list[str]] = {}
    for argument in argv[1:]:
        name, equals, value = argument.removeprefix("--").partition("=")
        many = name in FLAGS and isinstance(FLAGS[name], flags.MultiFlag)
        if argument.startswith("--") and equals and not many:
            given.setdefault(name, []).append(value)
    return {name: values for name, values in given.items() if len({*values}) > 1}


def _with_config(argv: Sequence[str]) -> list[str]:
    """Return the command line with the config's file in place of its name: see `loading.find`."""
    found = list(argv)
    if "config" not in FLAGS:
        return found
    for i, argument in enumerate(found):
        name, equals, value = argument.partition("=")
        if name == "--config" and equals and value:
            found[i] = f"--config={configs.find(value)}"
        elif name == "--config" and not equals and i + 1 < len(found):
            found[i + 1] = configs.find(found[i + 1])
    return found


def _check_overrides(argv: Sequence[str]) -> ConfigDict | None:
    """Return the config without overrides, where there is one; InputError for wrong names."""
    spec, names = None, []
    for i, argument in enumerate(argv):
        flag, _, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-"):
            continue
        if flag == "config":
            spec = value if "=" in argument else "".join(argv[i + 1 : i + 2])
        elif flag.startswith(("config.", "noconfig.")):
            names.append(flag.partition(".")[2])
    if spec is None:
        return None
    config = configs.load(spec)
    configs.check_names(configs.flat(config), names)
    if twice := [name for name in names if any(other.startswith(f"{name}.") for other in names)]:
        raise InputError(f"config.{twice[0]} and a setting in it must not be set both")
    return config


def _with_tuple(values: Mapping[str, Any], argument: str) -> str:
    """`--config.arms=real,add` as a tuple, and `--config.seeds=5` as the seeds 0 to 4."""
    name, _, value = argument.partition("=")
    old = values.get(name.removeprefix("--config."))
    if not name.startswith("--config.") or not isinstance(old, tuple) or value[:1] in ("", *"(["):
        return argument
    if name == "--config.seeds" and value.isdecimal():
        if len(value) > 3:
            raise InputError(f"config.seeds must be at most 999 of them, got {value[:30]}")
        return f"{name}={tuple(range(int(value)))}"

    def item(text: str) -> Any:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    return f"{name}={tuple(item(text.strip()) for text in value.split(',') if text.strip())}"


def _fail(name: str, error: Exception, code: int) -> None:
    from jaxgan.cli import interrupts

    screen.end()
    interrupts.end()
    text = getattr(error, "with_flags", None) or str(error)
    if name.startswith("jaxgan "):
        text = text.replace("--config.data.path=DIR", "--data DIR")
    if isinstance(error, OSError):
        where = error.filename or "a file that it reads or writes"
        text = f"{where} must be readable or writable: {error.strerror or text}"
        if error.errno in checked_files.DISK:
            text += "; what was finished is kept, and the same command goes on from it"
    lines = text.strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
    print(f"{name}: {line}", file=sys.stderr, flush=True)
    _end_soon(code)
    sys.exit(code)
