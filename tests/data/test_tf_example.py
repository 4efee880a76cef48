"""Our tf.train.Example against that of tensorflow-datasets, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.data.tf_example import decode_example, encode_example

# The package itself takes 0.6 s to import and is not needed.
tf_example_pb2 = pytest.importorskip("tensorflow_datasets.proto.tf_example_pb2")

RECORDS = {
    "image": st.binary(max_size=400),
    "label": st.integers(0, 2**63 - 1),
    "name": st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
}


def as_dict(message) -> dict:
    feature = message.features.feature
    assert set(feature) == {"image", "label", "name"}
    (image,), (name,) = (feature[key].bytes_list.value for key in ("image", "name"))
    (label,) = feature["label"].int64_list.value
    return {"image": image, "label": label, "name": name.decode()}


@given(st.fixed_dictionaries(RECORDS))
def test_ours_is_read_by_theirs_and_by_us(record: dict) -> None:
    data = encode_example(**record)
    assert as_dict(tf_example_pb2.Example.FromString(data)) == record
    assert decode_example(data) == record


@given(st.fixed_dictionaries(RECORDS), st.permutations(["image", "label", "name"]))
def test_theirs_is_read_by_us_in_any_order(record: dict, order: list[str]) -> None:
    message = tf_example_pb2.Example()
    for key in order:
        feature = message.features.feature[key]
        if key == "label":
            feature.int64_list.value.append(record[key])
        else:
            value = record[key]
            feature.bytes_list.value.append(value if key == "image" else value.encode())
    for deterministic in (False, True):
        data = message.SerializeToString(deterministic=deterministic)
        assert decode_example(data) == record


@given(st.fixed_dictionaries(RECORDS), st.data())
def test_damage_is_a_value_error_or_another_record(record: dict, data) -> None:
    """A changed byte of a picture cannot be seen here; nothing else than ValueError may come."""
    whole = encode_example(**record)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_example(bytes(damaged))
    except ValueError:
        return
    assert {k: type(v) for k, v in found.items()} == {"image": bytes, "label": int, "name": str}


@given(st.fixed_dictionaries(RECORDS), st.data())
def test_a_record_that_is_cut_off_is_refused(record: dict, data) -> None:
    whole = encode_example(**record)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="not a record of a picture"):
        decode_example(whole[:end])


@given(st.binary(max_size=64))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a record of a picture"):
        decode_example(data)


@pytest.mark.parametrize("key", ["image", "label", "name"])
def test_a_feature_of_another_kind_is_refused(key: str) -> None:
    message = tf_example_pb2.Example()
    for name in ("image", "label", "name"):
        feature = message.features.feature[name]
        if (name == "label") != (name == key):
            feature.int64_list.value.append(1)
        else:
            feature.bytes_list.value.append(b"x")
    with pytest.raises(ValueError, match="not a record of a picture"):
        decode_example(message.SerializeToString())
