"""Records of images: they come back, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from jaxgan.data.tf_example import decode_example, encode_example

RECORDS = {
    "image": st.binary(max_size=400),
    "label": st.integers(0, 2**63 - 1),
    "name": st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
}


@given(st.fixed_dictionaries(RECORDS))
def test_a_record_comes_back_and_is_the_same_each_time(record: dict) -> None:
    data = encode_example(**record)
    assert decode_example(data) == record
    assert encode_example(**record) == data


def test_the_bytes_are_those_that_prepared_sets_have_always_held() -> None:
    assert encode_example(b"pixels", 300, "cat/1.png") == (
        b"\n=\n\x13\n\x05image\x12\n\n\x08\n\x06pixels"
        b"\n\x0f\n\x05label\x12\x06\x1a\x04\n\x02\xac\x02"
        b"\n\x15\n\x04name\x12\r\n\x0b\n\tcat/1.png"
    )


@given(st.fixed_dictionaries(RECORDS), st.data())
def test_damage_is_a_value_error_or_another_record(record: dict, data) -> None:
    """A changed byte of an image cannot be seen here; nothing else than ValueError may come."""
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
    with pytest.raises(ValueError, match="not a record of an image"):
        decode_example(whole[:end])


@given(st.binary(max_size=64))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a record of an image"):
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
    with pytest.raises(ValueError, match="not a record of an image"):
        decode_example(message.SerializeToString())
