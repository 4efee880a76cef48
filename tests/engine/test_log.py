from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxgan.engine.log import Log, duration, grid, read_metrics


def test_everything_said_is_in_files(tmp_path: Path, capsys) -> None:
    with Log(tmp_path, "gan") as log:
        log.line("hello")
        log.metrics(1, {"loss": 0.5})
        log.metrics(2, {"loss": 0.25})
        log.image(2, "samples", np.full((4, 4, 3), 7, np.uint8))
    assert capsys.readouterr().out == "gan: hello\n" == (tmp_path / "log.txt").read_text()
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
    assert (np.asarray(Image.open(tmp_path / "samples" / "0000002.png")) == 7).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_it_back(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.metrics(3, {"loss": 0.5})
        log.image(3, "samples", np.zeros((4, 6, 3), np.uint8))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (event,) = events.Tensors("loss")
    assert (event.step, event.tensor_proto.float_val[0]) == (3, 0.5)
    assert events.Tensors("samples")[0].tensor_proto.string_val[:2] == [b"6", b"4"]


def test_rewind_drops_later_and_cut_off_rows(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for step in (1, 2, 3):
            log.metrics(step, {"loss": step})
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 2, "lo')
        log.rewind(2)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    assert (tmp_path / "metrics.jsonl").read_text().endswith("}\n")


def test_grid_places_pictures_in_rows() -> None:
    images = np.stack([np.full((2, 3, 3), i, np.uint8) for i in range(5)])
    sheet = grid(images, columns=3)
    assert sheet.shape == (2 * 2 + 2, 3 * 3 + 2 * 2, 3)
    assert (sheet[:2, 5:8] == 1).all() and (sheet[4:, :3] == 3).all()
    assert (sheet[2:4] == 255).all() and (sheet[4:, 10:] == 255).all()


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65.4, "1:05"), (3723, "1:02:03")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_object_store_gets_it_all_by_and_by(store, monkeypatch) -> None:
    """Whole files at a time, and therefore not at every line."""
    run = "gs://bucket/run"
    for begin in (0, 50):
        with Log(run) as log:
            for step in range(begin + 1, begin + 51):
                log.line(f"step {step}")
                log.metrics(step, {"loss": step})
            log.image(step, "samples", np.zeros((4, 6, 3), np.uint8))
            assert len(read_metrics(run)) < begin + 50
            log.flush()
            assert len(read_metrics(run)) == begin + 50
            log.line("the last one")
    assert len(store.written) < 20
    text = store.cat("gs://bucket/run/log.txt").decode()
    assert text.count("step") == 100 and text.endswith("step 100\nthe last one\n")
    assert len(store.ls("gs://bucket/run/tensorboard")) == 2
    assert store.exists("gs://bucket/run/samples/0000050.png")
    monkeypatch.setattr("jaxgan.engine.log.COPY", 0)
    with Log(run) as log:
        log.rewind(70)
        assert [row["step"] for row in read_metrics(run)] == list(range(1, 71))
        log.metrics(71, {"loss": 1})
        assert read_metrics(run)[-1] == {"step": 71, "loss": 1}
