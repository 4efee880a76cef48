"""What a run logs goes to the services that are asked for, and none of them can end it."""

import sys
import types

import numpy as np
import pytest

from jaxgan.engine import log, tracking
from jaxgan.engine.log import Log
from jaxgan.errors import InputError
from jaxgan.system import checked_files


class Run:
    """A run of either service, which notes what it is called with."""

    def __init__(self, broken: bool = False):
        self.calls: list[tuple] = []
        self.broken = broken
        self.info = types.SimpleNamespace(run_id="r1", experiment_id="e1")

    def log(self, values, step):
        if self.broken:
            raise ConnectionError("no network\nat all")
        self.calls.append((step, values))

    def finish(self):
        self.calls.append(("finish",))


class Client(Run):
    """MLflow's client."""

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return f"{name}-1"

    def create_run(self, number, run_name):
        self.calls.append(("run", number, run_name))
        return self

    def log_param(self, run, name, value):
        self.calls.append(("param", name, value))

    def log_metric(self, run, name, value, step):
        self.calls.append((step, {name: value}))

    def log_image(self, run, image, file):
        self.calls.append((file, image.shape))

    def set_terminated(self, run):
        self.calls.append(("finish",))


@pytest.fixture
def services(monkeypatch):
    """Stand-ins of both packages."""
    run, client = Run(), Client()
    wandb = types.ModuleType("wandb")
    wandb.init = lambda **about: run.calls.append(("init", about)) or run
    wandb.Image = lambda image: ("image", image.shape)
    mlflow = types.ModuleType("mlflow")
    mlflow.MlflowClient = lambda: client
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setenv(tracking.VARIABLE, "wandb,mlflow")
    return run, client


def test_figures_and_samples_go_to_both(services, tmp_path) -> None:
    checked_files.save(tmp_path / "config.json", {"train": {"steps": 9}})
    with Log(tmp_path) as opened:
        opened.metrics(3, {"loss": 0.5})
        opened.image(3, "samples", np.zeros((4, 5, 3), np.uint8))
    run, client = services
    (_, about), *calls = run.calls
    assert about["config"] == {"train": {"steps": 9}} and about["dir"] == str(tmp_path)
    assert calls == [(3, {"loss": 0.5}), (3, {"samples": ("image", (4, 5, 3))}), ("finish",)]
    assert client.calls[1:] == [
        ("param", "train.steps", "9"),
        (3, {"loss": 0.5}),
        ("samples/0000003.png", (4, 5, 3)),
        ("finish",),
    ]
    assert log.read_metrics(tmp_path) == [{"step": 3, "loss": 0.5}]


def test_a_service_that_fails_is_left_out(services, tmp_path, caplog) -> None:
    run, client = services
    run.broken = True
    with Log(tmp_path) as opened:
        opened.metrics(1, {"loss": 0.5})
        opened.metrics(2, {"loss": 0.4})
    assert [r.message for r in caplog.records] == ["wandb is left out from here on: no network"]
    assert client.calls[-2:] == [(2, {"loss": 0.4}), ("finish",)]
    assert len(log.read_metrics(tmp_path)) == 2


def test_nothing_is_sent_where_nothing_is_asked(services, tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(tracking.VARIABLE)
    with Log(tmp_path) as opened:
        opened.metrics(1, {"loss": 0.5})
    assert not services[0].calls and not services[1].calls


def test_unknown_and_missing_services_are_named(monkeypatch) -> None:
    with pytest.raises(InputError, match="must be of wandb, mlflow, got 'comet'"):
        tracking.check("comet")
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'jaxgan\[mlflow\]'"):
        tracking.check("mlflow")
