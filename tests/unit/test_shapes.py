"""What a tag looks like, without what makes it one version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.shapes import SHAPE_LENGTH, tag_shape
from tests.model_learning import shape_of
from tests.strategies import examples

TAGS = st.text("0123456789abcdefgvr.-_", max_size=40)


@pytest.mark.parametrize(
    ("tag", "shape"),
    [
        ("v1393", "v9"),
        ("v2.39.1", "v9"),
        ("1.2.3-rc1", "9-rc9"),
        ("latest", "latest"),
        ("release-43cdd92be", "release-#"),
        ("43cdd92be1f0a7c3", "#"),
        ("main-43cdd92be-arm64", "main-#"),
        ("20261123", "9"),
        ("20261123101500", "#"),
        ("build-1234567", "build-9"),
        ("facade", "facade"),
        ("a-very-long-branch-name", "a-very-long-br"),
        ("", ""),
    ],
)
def test_shape_of_a_tag(tag: str, shape: str) -> None:
    """Numbers become one digit, hashes one sign; a date is a number, not a hash."""
    found = tag_shape(tag)

    assert found == shape


@examples(300)
@given(TAGS)
def test_shape_equals_the_model(tag: str) -> None:
    """Two ways to say the same rule agree, and a shape is short."""
    found = tag_shape(tag)

    assert found == shape_of(tag)
    assert len(found) <= SHAPE_LENGTH
