"""A tf.train.Example as bytes and back: for `image`, `label` and `name` alone, without TensorFlow.

Reference: Protocol Buffers, Encoding; and example.proto, feature.proto of TensorFlow, whose fields
are Example.features = 1, Features.feature = 1 (a map: key = 1, value = 2), Feature.bytes_list = 1,
Feature.int64_list = 3, BytesList.value = Int64List.value = 1.
"""

from collections.abc import Iterator
from functools import lru_cache


def encode_example(image: bytes, label: int, name: str) -> bytes:
    """The serialised Example of a picture."""
    text = name.encode()
    entries = (_bytes_start(b"image", len(image)), image, _label(label))
    entries = (*entries, _bytes_start(b"name", len(text)), text)
    return b"".join((_start(1, sum(map(len, entries))), *entries))


@lru_cache(1024)
def _bytes_start(key: bytes, size: int) -> bytes:
    """All of a map's entry but the one value, of that size, at its end."""
    start = b""
    for number in (1, 1, 2):  # BytesList.value, Feature.bytes_list, the entry's value.
        start = _start(number, len(start) + size) + start
    start = _field(1, key) + start
    return _start(1, len(start) + size) + start


@lru_cache(1024)
def _label(label: int) -> bytes:
    value = _field(2, _field(3, _field(1, _varint(label))))
    return _field(1, _field(1, b"label") + value)


def decode_example(record: bytes) -> dict:
    """{"image": bytes, "label": int, "name": str} of `encode_example`.

    Raises:
        ValueError: not such a record.
    """
    found: dict = {}
    try:
        for _, features in _fields(memoryview(record)):
            for _, entry in _fields(features):
                key, feature = (value for _, value in _fields(entry))
                ((kind, values),) = _fields(feature)
                ((_, value),) = _fields(values)
                found[kind, bytes(key)] = value
        image, label, name = (found[k] for k in ((1, b"image"), (3, b"label"), (1, b"name")))
        return {
            "image": bytes(image),
            "label": _read_varint(label, 0)[0],
            "name": bytes(name).decode(),
        }
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError("not a record of a picture") from error


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def _field(number: int, payload: bytes) -> bytes:
    return _start(number, len(payload)) + payload


def _start(number: int, size: int) -> bytes:
    return bytes([number << 3 | 2]) + _varint(size)


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while data[at] > 127:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return number | data[at] << shift, at + 1


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        if tag & 7 != 2 or at + size > len(data):
            raise ValueError(f"unexpected field {tag}")
        yield tag >> 3, data[at : at + size]
        at += size
