"""Pictures where they lie: folders and archives, whole and damaged, with names of all kinds."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.data.sources import discover
from jaxgan.types import InputError

TREE = ("cat/a.jpg", "cat/deep/b.PNG", "dog/c.webp", "dog/d.jpg.cat", "dog/notes.txt")
PICTURES = TREE[:3]


def picture(seed: int = 0, kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def contents(names=TREE) -> dict[str, bytes]:
    kinds = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    return {
        name: picture(i, kinds[ext])
        if (ext := os.path.splitext(name)[1].lower()) in kinds
        else b"x"
        for i, name in enumerate(names)
    }


def folder(path: Path, members: dict[str, bytes]) -> Path:
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


SOURCES = {
    "folder": folder,
    "x.zip": zipped,
    "x.tar": tarred,
    "x.tar.gz": lambda path, members: tarred(path, members, "w:gz"),
    "x.tar.bz2": lambda path, members: tarred(path, members, "w:bz2"),
    "x.tar.xz": lambda path, members: tarred(path, members, "w:xz"),
}


def read_all(found: discover.Files) -> dict[str, bytes]:
    return {entry.name: discover.read(found.root, entry.place) for entry in found.entries}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("top", ["", "pets/", "./", "deep/er/"])
def test_every_source_gives_the_same_files(tmp_path: Path, kind: str, top: str) -> None:
    members = contents()
    put = {top + name: data for name, data in members.items()}
    source = SOURCES[kind](tmp_path / kind, put)
    found = discover.find(source, tmp_path)
    assert found.classes == ("cat", "dog")
    inside = top.removeprefix("./")  # One folder is no part of the names in an archive.
    if kind != "folder":
        inside = inside.partition("/")[2]
    assert [(e.name.removeprefix(inside), e.label) for e in found.entries] == [
        *(("cat/a.jpg", 0), ("cat/deep/b.PNG", 0), ("dog/c.webp", 1))
    ]
    assert len(found.told) == (inside != "")
    assert read_all(found) == {inside + name: members[name] for name in PICTURES}
    assert [e.size for e in found.entries] == [len(members[name]) for name in PICTURES]
    assert found.left_out == {"no picture": 1}


@pytest.mark.parametrize("kind", SOURCES)
def test_one_folder_of_pictures_is_a_class(tmp_path: Path, kind: str) -> None:
    """Of its own name where it is the source or all of an archive; else of the archive's."""
    source = SOURCES[kind](tmp_path / kind, contents(("a.jpg", "b.png")))
    assert discover.find(source, tmp_path).classes == (kind.split(".")[0],)
    if kind != "folder":
        source = SOURCES[kind](tmp_path / kind, contents(("tabby/a.jpg", "tabby/b.png")))
        assert discover.find(source, tmp_path).classes == ("tabby",)


def test_side_files_go_with_their_pictures(tmp_path: Path) -> None:
    names = ("cat/a.jpg", "cat/a.jpg.cat", "cat/b.jpg", "cat/b.cat", "cat/c.jpg", "cat/c.xml")
    for kind, make in SOURCES.items():
        found = discover.find(make(tmp_path / kind, contents((*names, "cat/d.jpg"))), tmp_path)
        assert [e.side_file is not None for e in found.entries] == [True, True, True, False]
        for entry in found.entries[:3]:
            assert entry.side_file is not None
            assert discover.read(found.root, entry.side_file) == b"x"
        assert not found.left_out


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    members = contents((*TREE, "beside.jpg", "cat/.hidden.jpg", ".git/x.png", "cat/.thumbs/x.png"))
    found = discover.find(folder(tmp_path / "pets", members))
    assert found.left_out == {"hidden": 3, "no picture": 1, "beside the class folders": 1}
    assert [e.name for e in found.entries] == list(PICTURES)


def test_what_a_mac_adds_to_an_archive_is_hidden(tmp_path: Path) -> None:
    members = contents()
    mac = {f"__MACOSX/pets/cat/._{i}.jpg": b"\0\5\x16\7" * 30 for i in range(3)}
    put = {f"pets/{name}": data for name, data in members.items()} | {"pets/.DS_Store": b"x"}
    found = discover.find(zipped(tmp_path / "x.zip", put | mac))
    assert found.classes == ("cat", "dog") and found.left_out["hidden"] == 4
    assert [e.name for e in found.entries] == list(PICTURES)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_a_picture_without_extension_is_known_by_its_start(tmp_path: Path, kind: str) -> None:
    if kind not in Image.SAVE:
        pytest.skip(f"Pillow writes no {kind} here")
    data = picture(1, kind, (32, 32))
    sound = b"RIFF" + struct.pack("<I", 500) + b"WAVEfmt " + bytes(500)
    members = {"cat/odd": data, "cat/odd.dat": data, "cat/notes.txt": data, "cat/sound": sound}
    for name, make in SOURCES.items():
        found = discover.find(make(tmp_path / name, members), tmp_path)
        assert read_all(found) == {"cat/odd": data, "cat/odd.dat": data}
        assert found.left_out == {"no picture": 2}


NAMES = [
    *("with space.jpg", "new\nline.jpg", "tab\t.jpg", "Kätzchen.jpg", "猫.jpg", "'\"<&>.jpg"),
    *("%s{0}.jpg", "-rf.jpg", "a:b.jpg", "x" * 251 + ".jpg"),
]


@pytest.mark.parametrize("kind", SOURCES)
def test_odd_names_are_printable_and_read(tmp_path: Path, kind: str) -> None:
    members = {f"cat/{name}": picture(i) for i, name in enumerate(NAMES)}
    if kind != "folder":
        members["cat/" + "y" * 296 + ".jpg"] = picture(99)
    found = discover.find(SOURCES[kind](tmp_path / kind, members), tmp_path)
    assert set(read_all(found).values()) == set(members.values())
    names = [e.name for e in found.entries]
    assert len(set(names)) == len(members) and all(name.isprintable() for name in names)
    assert {"cat/with space.jpg", "cat/猫.jpg", "cat/new\\nline.jpg"} < set(names)


@pytest.mark.parametrize("kind", ["folder", "x.tar"])
def test_names_that_are_not_utf8(tmp_path: Path, kind: str) -> None:
    members = {
        os.fsdecode(b"cat/\xff\xfe.jpg"): picture(1),
        os.fsdecode(b"d\xf6g/a.jpg"): picture(2),
    }
    found = discover.find(SOURCES[kind](tmp_path / kind, members), tmp_path)
    assert len(found.entries) == 2 and list(read_all(found).values()) == [*members.values()]
    for name in (*found.classes, *(e.name for e in found.entries)):
        assert name.isprintable() and name.encode()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), max_size=40),
        max_size=4,
        unique=True,
    )
)
def test_any_name_in_a_tar_is_found_or_refused(tmp_path_factory, names: list[str]) -> None:
    members = {f"cat/{name}.png": picture(i) for i, name in enumerate(names)}
    source = tarred(tmp_path_factory.mktemp("names") / "x.tar", members | {"cat/z.png": b"z"})
    found = discover.find(source)
    assert len(found.entries) + found.left_out["hidden"] == len(members | {"cat/z.png": b""})
    for entry in found.entries:
        assert entry.name.isprintable() and discover.read(found.root, entry.place)


@pytest.mark.parametrize("kind", [k for k in SOURCES if k != "folder"])
@pytest.mark.parametrize(
    "name", ["../evil.jpg", "cat/../../evil.jpg", "/etc/evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"]
)
def test_names_that_leave_an_archive_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    source = SOURCES[kind](tmp_path / kind, contents() | {name: b"x"})
    with pytest.raises(InputError, match="names must stay inside their archive") as caught:
        discover.find(source, tmp_path)
    assert repr(name) in str(caught.value) and "\n" not in str(caught.value)


def test_the_last_of_a_name_in_an_archive_counts(tmp_path: Path) -> None:
    for kind, mode in (("x.zip", "a"), ("x.tar", "a")):
        source = SOURCES[kind](tmp_path / kind, contents())
        if kind == "x.zip":
            with zipfile.ZipFile(source, mode) as archive, pytest.warns(UserWarning, match="Dup"):  # type: ignore[call-overload]
                archive.writestr("cat/a.jpg", picture(77))
        else:
            tarred(source, {"cat/a.jpg": picture(77)}, mode)
        found = discover.find(source)
        assert len(found.entries) == 3 and read_all(found)["cat/a.jpg"] == picture(77)


def add(archive: tarfile.TarFile, name: str, kind: bytes, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    archive.addfile(info)


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_links_devices_and_pipes_in_a_tar_are_counted(tmp_path: Path, packed: str) -> None:
    source = tmp_path / "x.tar"
    with tarfile.open(tarred(source, contents()), "a") as archive:
        add(archive, "cat/link.jpg", tarfile.SYMTYPE, "a.jpg")
        add(archive, "cat/far.jpg", tarfile.SYMTYPE, "/etc/passwd")
        add(archive, "cat/gone.jpg", tarfile.LNKTYPE, "cat/nowhere.jpg")
        add(archive, "cat/out.jpg", tarfile.LNKTYPE, "../../etc/passwd")
        add(archive, "cat/of a link.jpg", tarfile.LNKTYPE, "cat/link.jpg")
        add(archive, "cat/pipe.jpg", tarfile.FIFOTYPE)
        add(archive, "cat/disk.jpg", tarfile.BLKTYPE)
        add(archive, "cat/folder.jpg", tarfile.DIRTYPE)
    if packed:
        source = tmp_path / "x.tar.gz"
        source.write_bytes(gzip.compress((tmp_path / "x.tar").read_bytes()))
    found = discover.find(source, tmp_path)
    assert [e.name for e in found.entries] == list(PICTURES)
    assert found.left_out == {"link": 5, "no picture": 3}  # One are the notes.


@pytest.mark.parametrize("top", ["", "./", "pets/"])
def test_hard_links_in_a_tar_read_what_they_link_to(tmp_path: Path, top: str) -> None:
    """As tar writes a folder in which a file has two names: its bytes once, then the name."""
    members = contents()
    source = tarred(tmp_path / "x.tar", {top + name: data for name, data in members.items()})
    with tarfile.open(source, "a") as archive:
        add(archive, f"{top}dog/same.jpg", tarfile.LNKTYPE, f"{top}cat/a.jpg")
        add(archive, f"{top}dog/again.jpg", tarfile.LNKTYPE, f"{top}dog/same.jpg")
        add(archive, f"{top}dog/odd", tarfile.LNKTYPE, f"{top}dog/c.webp")
        add(archive, f"{top}dog/more.txt", tarfile.LNKTYPE, f"{top}dog/notes.txt")
    found = discover.find(source)
    want = {name: members[name] for name in PICTURES}
    same = dict.fromkeys(("dog/same.jpg", "dog/again.jpg"), members["cat/a.jpg"])
    assert read_all(found) == want | same | {"dog/odd": members["dog/c.webp"]}
    assert [len(data) for data in read_all(found).values()] == [e.size for e in found.entries]
    assert found.left_out == {"no picture": 2}


def test_hard_links_that_tar_has_made(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", contents())
    os.link(root / "cat" / "a.jpg", root / "dog" / "same.jpg")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(root, "pets")
        assert sum(m.islnk() for m in archive.getmembers()) == 1
    assert read_all(discover.find(tmp_path / "x.tar")) == read_all(discover.find(root))


def test_a_sparse_file_in_a_tar_is_no_picture(tmp_path: Path) -> None:
    """GNU's old format: a header that says which pieces follow, here 512 bytes of 1 MB."""
    source = tarred(tmp_path / "x.tar", contents())
    info = tarfile.TarInfo("cat/holes.jpg")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    for at, number in ((386, 0), (398, 512), (483, 10**6)):
        header[at : at + 12] = b"%011o\0" % number
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:])
    with tarfile.open(source) as archive:
        end = archive.getmembers()[-1].offset_data + 512
    source.write_bytes(source.read_bytes()[:end] + header + b"x" * 512 + bytes(1024))
    with tarfile.open(source) as archive:
        assert archive.getmembers()[-1].issparse()
    found = discover.find(source)
    assert [e.name for e in found.entries] == list(PICTURES)
    assert found.left_out == {"no picture": 2}


def test_symbolic_links_in_a_zip_are_counted(tmp_path: Path) -> None:
    source = zipped(tmp_path / "x.zip", contents())
    with zipfile.ZipFile(source, "a") as archive:
        info = zipfile.ZipInfo("cat/link.jpg")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "a.jpg")
    found = discover.find(source)
    assert [e.name for e in found.entries] == list(PICTURES)
    assert found.left_out == {"link": 1, "no picture": 1}


@pytest.mark.parametrize("encoding", ["raw", "png", "webp"])
def test_a_prepared_set_is_told_from_a_folder(tmp_path: Path, encoding: str) -> None:
    """Also where it has a quarantine, whose pictures nobody wants."""
    from jaxgan.data.prepared import tfds_files

    root = folder(tmp_path / "set", {"quarantine/blank/cat/a.png": picture()})
    (root / "dataset.json").write_text("{}")
    (root / "pictures-full.array_record-00000-of-00001").write_bytes(b"x")
    info = {"resolution": 8, "encoding": encoding, "classes": ["cat"], "shards": []}
    for name, text in tfds_files(info):
        (root / name).write_text(text)
    way = "give what it was made of" if encoding == "webp" else f"--source=tfds:{root} reads it"
    with pytest.raises(InputError) as caught:
        discover.find(root)
    assert str(caught.value) == f"--source must hold images, and {root} is a prepared set: {way}"


def test_pictures_beside_labels_in_json_are_no_prepared_set(tmp_path: Path) -> None:
    """StyleGAN's tool writes such a file, too."""
    members = contents() | {"dataset.json": b'{"labels": null}'}
    assert len(discover.find(folder(tmp_path / "pets", members)).entries) == 3


def test_an_encrypted_zip_is_found_but_not_read(tmp_path: Path) -> None:
    source = zipped(tmp_path / "x.zip", contents())
    data = bytearray(source.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # The flags of each member.
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= 1
            place = data.find(mark, place + 1)
    source.write_bytes(data)
    found = discover.find(source)
    for entry in found.entries:
        with pytest.raises(RuntimeError, match="encrypted"):
            discover.read(found.root, entry.place)


@pytest.mark.parametrize("kind", [k for k in SOURCES if k != "folder"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_archives_that_are_cut_off_are_refused(tmp_path: Path, kind: str, share: float) -> None:
    members = {f"cat/{i}.png": picture(i, size=(24, 24)) for i in range(20)}
    source = SOURCES[kind](tmp_path / kind, members)
    data = source.read_bytes()
    if kind == "x.tar":  # Without the zeros at its end, and not between two members.
        data = data[: 20 * (512 + 512 * -(-len(members["cat/0.png"]) // 512))]
    source.write_bytes(data[: max(0, int(share * len(data)) - 9)])
    with pytest.raises(InputError, match="--source must be") as caught:
        discover.find(source, tmp_path)
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)


def test_a_tar_cut_off_anywhere_is_refused_or_shorter(tmp_path: Path) -> None:
    """Between two members nobody can tell; anywhere else it is told."""
    source = tarred(tmp_path / "x.tar", {f"cat/{i}.png": picture(i) for i in range(4)})
    whole = source.read_bytes()
    size = 512 + 512 * -(-len(picture(0)) // 512)
    for end in range(1, 4 * size, 61):
        source.write_bytes(whole[:end])
        if end % size == 0:
            assert len(discover.find(source).entries) == end // size
            continue
        with pytest.raises(InputError, match="--source must be"):
            discover.find(source)


def test_a_tar_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    source = tarred(tmp_path / "x.tar", {f"cat/{i}.png": picture(i) for i in range(4)})
    data = bytearray(source.read_bytes())
    size = 512 + 512 * -(-len(picture(0)) // 512)
    data[2 * size : 2 * size + 100] = b"\xff" * 100
    source.write_bytes(data)
    with pytest.raises(InputError, match="must be a whole archive"):
        discover.find(source)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_damage_in_a_packed_tar_is_told(tmp_path: Path, module) -> None:
    plain = tarred(tmp_path / "plain.tar", {f"cat/{i}.png": picture(i) for i in range(9)})
    packed = bytearray(module.compress(plain.read_bytes()))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "x.tar.packed").write_bytes(packed)
    with pytest.raises(InputError, match="--source must be"):
        discover.find(tmp_path / "x.tar.packed", tmp_path)


def test_a_packed_tar_is_decompressed_once_where_no_room_is_given(tmp_path: Path) -> None:
    source = SOURCES["x.tar.gz"](tmp_path / "x.tar.gz", contents())
    found = discover.find(source)
    assert set(read_all(found)) == set(PICTURES)
    assert discover.find(source) == found and Path(found.root).parent != tmp_path


def test_an_archive_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    for kind in SOURCES:
        for seed in (1, 2):
            found = discover.find(
                SOURCES[kind](tmp_path / kind, {"cat/a.png": picture(seed)}), tmp_path
            )
            assert read_all(found) == {"cat/a.png": picture(seed)}


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cats")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in ("a.txt", "pipe", "nowhere"):
        with pytest.raises(InputError, match=r"--source must be a folder, a \.zip or a \.tar"):
            discover.find(tmp_path / path)
    with pytest.raises((InputError, OSError), match="loop"):
        discover.find(tmp_path / "loop")
    for name in ("none", "x.zip", "x.tar"):
        source = SOURCES.get(name, folder)(tmp_path / name, {"cat/a.txt": b"x"})
        with pytest.raises(InputError, match=r"must hold images.*has none \(1 other files\)"):
            discover.find(source)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", contents())
    folder(tmp_path / "elsewhere", contents(("far.jpg",)))
    (root / "cat" / "far").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "circle").symlink_to(root)
    (root / "cat" / "self").symlink_to("self")
    (root / "cat" / "loop.jpg").symlink_to("loop.jpg")
    (root / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    found = discover.find(root)
    names = {e.name: e for e in found.entries}
    assert set(names) == {*PICTURES, "cat/far/far.jpg", "cat/loop.jpg", "cat/gone.jpg"}
    for name in ("cat/loop.jpg", "cat/gone.jpg"):
        with pytest.raises(OSError):
            discover.read(found.root, names[name].place)


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", contents())
    for name in ("cat/x.jpg", "cat/pipe", "points.csv"):
        os.mkfifo(root / name)
    found = discover.find(root)
    (pipe,) = (e for e in found.entries if e.name == "cat/x.jpg")
    with pytest.raises(ValueError, match="not a regular file"):
        discover.read(found.root, pipe.place)
    assert found.tables == ()


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch) -> None:
    """As root permissions do not bind, so the refusal is played."""
    root = folder(tmp_path / "pets", contents())
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"every folder must be readable, and .*deep is not"):
        discover.find(root)


def test_tables_of_points_lie_at_the_top(tmp_path: Path) -> None:
    for kind, make in SOURCES.items():
        members = contents() | {"points.csv": b"file,x\n", "cat/other.csv": b"no"}
        found = discover.find(make(tmp_path / kind, members), tmp_path)
        assert [discover.read(found.root, place) for place in found.tables] == [b"file,x\n"]


def test_the_same_order_as_of_a_folder(tmp_path: Path) -> None:
    from jaxgan.data.folder import FolderSource

    names = ("cat/a/z.png", "cat/a b.png", "cat/a.png", "cat/B.png", "Dog/1.png", "Dog/10.png")
    source = folder(tmp_path / "pets", {**contents(names), "Dog/2.png": picture(9)})
    assert tuple(e.name for e in discover.find(source).entries) == FolderSource(source, 8).names
