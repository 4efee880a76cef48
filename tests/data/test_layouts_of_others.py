"""Layouts and formats that users of other tools reported as failing there; each cites its report.

Drawn here, tiny. `cat` and `dog` are wanted, four images of each, where nothing else is said.
"""

import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxgan.data.folder import read
from jaxgan.data.sources import discover
from jaxgan.errors import InputError

N = 4
PETS = ("cat", "dog")


def encoded(seed: int, form: str = "PNG", mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 4), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").convert(mode).save(file, form)
    return file.getvalue()


def draw(root: Path, *names: str, form: str = "PNG", mode: str = "RGB") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(sum(map(ord, name)), form, mode))


def pets(root: Path, start: str = "", ending: str = "png") -> None:
    draw(root, *(f"{start}{c}/{c}{i}.{ending}" for c in PETS for i in range(N)))


def flat(root: Path, folder: str = "") -> list[str]:
    names = [f"{i:08d}.png" for i in range(2 * N)]
    draw(root, *(folder + name for name in names))
    return names


def labelled(names: list[str], line: str = "{},{}\n") -> str:
    return "".join(line.format(name, PETS[i % 2]) for i, name in enumerate(names))


def hidden(root: Path) -> None:
    pets(root)
    draw(root, ".ipynb_checkpoints/cat0-checkpoint.png", "dog/.ipynb_checkpoints/x.png")


def ds_store(root: Path) -> None:
    pets(root)
    for folder in (".", *PETS):
        (root / folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(200))


def empty_class(root: Path) -> None:
    pets(root)
    (root / "bird").mkdir()


def links_to_files(root: Path) -> None:
    pets(root, "others/pool/")
    for c in PETS:
        (root / "set" / c).mkdir(parents=True)
        for i in range(N):
            os.symlink(root / f"others/pool/{c}/{c}{i}.png", root / f"set/{c}/{c}{i}.png")


def linked_side(root: Path) -> None:
    pets(root, "common/")
    pets(root, "set/train/")
    os.symlink(root / "common", root / "set/valid")


def imagenet(root: Path) -> None:
    for side in ("train", "val"):
        names = [f"{side}/n0144{k}/ILSVRC2012_val_{i:08}.JPEG" for k in (0, 9) for i in range(N)]
        draw(root, *names, form="JPEG")


def flat_validation(root: Path) -> None:
    pets(root, "train/")
    draw(root, *(f"val/ILSVRC2012_val_{i:08}.png" for i in range(N)))


def validation_table(root: Path) -> None:
    names = [f"ILSVRC2012_val_{i:08}" for i in range(2 * N)]
    draw(root, *(f"{name}.JPEG" for name in names), form="JPEG")
    (root / "val.csv").write_text("ImageId,Class\n" + labelled(names))


def yolo(root: Path) -> None:
    for side in ("train", "val"):
        for i in range(N):
            draw(root, f"images/{side}/{i}.png")
            (root / "labels" / side).mkdir(parents=True, exist_ok=True)
            (root / f"labels/{side}/{i}.txt").write_text("0 0.5 0.5 0.1 0.1\n")


def phone_zip(root: Path) -> None:
    with zipfile.ZipFile(root / "phone.zip", "w") as archive:
        for i in range(2 * N):
            archive.writestr(f"IMG_{6000 + i}.JPG", encoded(i, "JPEG"))


def dot_net_zip(root: Path) -> None:
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        for i in range(2 * N):
            archive.writestr(f"pets\\{PETS[i % 2]}\\{i}.png", encoded(i))


def deep(root: Path) -> None:
    pets(root, "Volumes/TOSHIBA/imgs/Volumes/TOSHIBA/imgs/Full/train/")


def gray_and_colour(root: Path) -> None:
    pets(root)
    draw(root, "cat/cat0.png", mode="L")
    draw(root, "dog/dog0.png", mode="RGBA")
    draw(root, "dog/dog1.png", mode="P")


def path_in_table(root: Path) -> None:
    names = flat(root, "images/")
    table = "filename,class\n" + labelled([f"project/images/{name}" for name in names])
    (root / "images" / "image_labels.csv").write_text(table)


def spaces(root: Path) -> None:
    names = [f"GC100 17 (04) {i}.JPG" for i in range(2 * N)]
    draw(root, *(f"my images/{name}" for name in names), form="JPEG")
    table = "File Name,Label\n" + labelled(names, '"{}", {}\n')
    (root / "labels.csv").write_text(table)


def windows_paths(root: Path) -> None:
    names = flat(root, "images/")
    lines = labelled([f"C:\\Users\\me\\set\\images\\{name}" for name in names])
    (root / "labels.csv").write_text("image,label\n" + lines)


def semicolons(root: Path) -> None:
    (root / "labels.csv").write_text("file;label\r\n" + labelled(flat(root), "{};{}\r\n"))


def tabs(root: Path) -> None:
    (root / "labels.tsv").write_text("file\tlabel\n" + labelled(flat(root), "{}\t{}\n"))


def utf16(root: Path) -> None:
    text = "file\tlabel\r\n" + labelled(flat(root), "{}\t{}\r\n")
    (root / "labels.csv").write_bytes(text.encode("utf-16"))


def latin1(root: Path) -> None:
    text = "file,label,note\n" + labelled(flat(root), "{},{},café\n")
    (root / "labels.csv").write_bytes(text.encode("latin-1"))


def webdataset(root: Path) -> None:
    with tarfile.open(root / "imagenet-train-000000.tar", "w") as archive:
        for i in range(2 * N):
            for ending, data in ((".cls", b"%d" % (i % 2)), (".jpg", encoded(i, "JPEG"))):
                member = tarfile.TarInfo(f"{911032 + i:07}{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def one_hot_sides(root: Path) -> None:
    for side in ("train", "valid", "test"):
        names = flat(root, f"{side}/")
        rows = "".join(f"{name}, {i % 2}, {(i + 1) % 2}\n" for i, name in enumerate(names))
        (root / side / "_classes.csv").write_text("filename, cat, dog\n" + rows)


def one_hot_floats(root: Path) -> None:
    names = flat(root, "ISIC2018_Task3_Training_Input/")
    rows = "".join(f"{n[:-4]},{i % 2:.1f},{(i + 1) % 2:.1f}\n" for i, n in enumerate(names))
    (root / "GroundTruth.csv").write_text("image,cat,dog\n" + rows)


def ham10000(root: Path) -> None:
    names = flat(root, "HAM10000_images_part_1/")
    rows = labelled([f"HAM_{i // 3},{name[:-4]}" for i, name in enumerate(names)])
    (root / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\n" + rows)


def fiftyone(root: Path) -> None:
    names = flat(root, "data/")
    labels = {name[:-4]: i % 2 for i, name in enumerate(names)}
    (root / "labels.json").write_text(json.dumps({"classes": PETS, "labels": labels}))


def cub(root: Path) -> None:
    pets(root, "CUB_200_2011/images/")
    for name in ("images.txt", "README", "parts/part_locs.txt", "attributes/attributes.txt"):
        (root / "CUB_200_2011" / name).parent.mkdir(exist_ok=True)
        (root / "CUB_200_2011" / name).write_text("1 001.cat/cat0.png\n")


def cifar(root: Path) -> None:
    for side in ("train", "test"):
        draw(root, *(f"{side}/{c}/{1000 * i}_{c}.png" for c in PETS for i in range(N)))


def numbers(root: Path) -> None:
    draw(root, *(f"{c}/{i}.png" for c in (1, 2, 10) for i in range(N)))


def captions(root: Path) -> None:
    names = flat(root, "images/")
    draw(root, *(f"padded_images/p_{name}" for name in names))
    lines = [json.dumps({"caption": "a cat", "image": f"images/{name}"}) for name in names]
    (root / "metadata1000.jsonl").write_text("\n".join(lines))


class Case(NamedTuple):
    """What is drawn, the report, what must come of it, and words that must be said."""

    draw: Callable[[Path], None]
    report: str
    counts: dict[str, int] | None = None
    said: tuple[str, ...] = ()
    path: str = ""
    given: bool = False


def both(n: int = N) -> dict[str, int]:
    return dict.fromkeys(PETS, n)


CASES = (
    Case(hidden, "pytorch/vision#2831, tensorflow/tensorflow#46595"),
    Case(ds_store, "pytorch/vision#109"),
    Case(empty_class, "pytorch/vision#4925", said=("left out folders without images: bird",)),
    Case(links_to_files, "huggingface/datasets#5098", path="set"),
    Case(linked_side, "fastai/fastai#2270", both(2 * N), path="set", given=True),
    Case(imagenet, "huggingface/datasets#4015", {"n01440": 8, "n01449": 8}, given=True),
    Case(flat_validation, "facebookresearch/dinov2#496", said=("left out val: no classes",)),
    Case(validation_table, "huggingface/pytorch-image-models#1081"),
    Case(yolo, "ultralytics/ultralytics#5036", {"": 8}, given=True),
    Case(phone_zip, "replicate/lora-training#9", {"phone": 8}, path="phone.zip"),
    Case(dot_net_zip, "dotnet/core-setup#3577, codeclysm/extract#5", path="a.zip"),
    Case(deep, "huggingface/datasets#5278", said=("everything lies in Volumes/TOSHIBA",)),
    Case(gray_and_colour, "NVlabs/stylegan3#36, NVlabs/stylegan2-ada-pytorch#33"),
    Case(path_in_table, "mikeyEcology/MLWIC2#4"),
    Case(spaces, "mikeyEcology/MLWIC2#4"),
    Case(windows_paths, "DeepLabCut/DeepLabCut#325"),
    Case(semicolons, "huggingface/datasets#4069"),
    Case(tabs, "huggingface/datasets#4069"),
    Case(utf16, "huggingface/datasets#4069"),
    Case(latin1, "huggingface/datasets#4069"),
    Case(
        webdataset,
        "webdataset/webdataset#195",
        {"0": 4, "1": 4},
        path="imagenet-train-000000.tar",
    ),
    Case(one_hot_sides, "roboflow/supervision#625", both(3 * N), given=True),
    Case(one_hot_floats, "yang-ruixin/PyTorch-Image-Models-Multi-Label-Classification#8"),
    Case(ham10000, "tensorflow/datasets#196"),
    Case(fiftyone, "luxonis/luxonis-ml#379"),
    Case(cub, "shiyegao/cub200", said=("everything lies in CUB_200_2011/images",)),
    Case(cifar, "CVHub520/X-AnyLabeling#1374", both(2 * N), given=True),
    Case(numbers, "pytorch/vision#714, CSAILVision/places365#22", {"1": 4, "10": 4, "2": 4}),
    Case(
        captions,
        "huggingface/datasets#6777",
        {"images": 8, "padded_images": 8},
        ("images is the name of no class",),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.draw.__name__)
def test_a_layout_gives_its_classes(tmp_path: Path, case: Case) -> None:
    root = tmp_path / "root"
    root.mkdir()
    case.draw(root)
    found = discover.find(root / case.path if case.path else root)
    counts = np.bincount(found.entries.labels(), minlength=len(found.classes)).tolist()
    wanted = {name or "root": n for name, n in (case.counts or both()).items()}
    assert dict(zip(found.classes, counts, strict=True)) == wanted
    for words in case.said:
        assert words in "\n".join(found.told)
    assert (found.given is not None) == case.given


def test_a_side_without_a_class_is_named_and_shifts_no_label(tmp_path: Path) -> None:
    """ultralytics/ultralytics#13936: "270" was tested as "90", for "180" was not there."""
    for side, turns in (("train", (0, 180, 270, 90)), ("test", (0, 270, 90))):
        draw(tmp_path, *(f"{side}/{turn}/{i}.png" for turn in turns for i in range(N)))
    with pytest.raises(InputError, match="and test has no 180"):
        read(tmp_path, 8)
    merged = read(tmp_path, 8, given_sides="merge")
    for name, label in zip(merged.names, merged.labels.tolist(), strict=True):
        assert merged.classes[label] == name.split("/")[1]


def test_patients_stay_on_one_side(tmp_path: Path) -> None:
    """Lightning-Universe/lightning-Covid19#11: several images are of one patient."""
    names = flat(tmp_path, "images/")
    rows = labelled([f"{i // 2},{name}" for i, name in enumerate(names)])
    (tmp_path / "metadata.csv").write_text("patientid,filename,label\n" + rows)
    found = read(tmp_path, 8, grouped="column:patientid")
    assert found.groups is not None and len(set(found.groups.tolist())) == N


def test_a_table_that_gives_no_classes_is_named(tmp_path: Path) -> None:
    """huggingface/datasets#6777 and #5278: it was left out without a word."""
    flat(tmp_path)
    (tmp_path / "list.csv").write_text("name;kind\n00000000;cat\n")
    (tmp_path / "manifest.jsonl").write_text('{"seed": 1}')
    (tmp_path / "points.csv").write_text("file,left_eye_x\n00000000.png,3\n")
    said = "\n".join(discover.find(tmp_path).told)
    assert "not used: list.csv with name, kind: a table of classes needs columns" in said
    assert "points" not in said and "manifest" not in said
