"""A tf.train.Example of an `image`, its `label` and its `name` as bytes, without TensorFlow."""

from functools import cache
from typing import Any


@cache
def _kind() -> Any:
    from tensorflow_datasets.proto import tf_example_pb2  # 0.2 s, which few runs have to spend.

    return tf_example_pb2.Example


def encode_example(image: bytes, label: int, name: str) -> bytes:
    """Return the serialised Example of an image; the same bytes each time."""
    example = _kind()()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["label"].int64_list.value.append(label)
    feature["name"].bytes_list.value.append(name.encode())
    return example.SerializeToString(deterministic=True)


def decode_example(record: bytes) -> dict[str, Any]:
    """Return {"image": bytes, "label": int, "name": str} of `encode_example`.

    Raises:
        ValueError: not such a record.
    """
    from google.protobuf.message import DecodeError

    try:
        feature = _kind().FromString(record).features.feature
        (image,), (name,) = (feature[key].bytes_list.value for key in ("image", "name"))
        (label,) = feature["label"].int64_list.value
        return {"image": image, "label": label, "name": name.decode()}
    except (DecodeError, ValueError) as error:
        raise ValueError("not a record of an image") from error
