"""The tree is the one of RFC 6962, and no two different tables share a root."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exam_contract import merkle

# The inputs and roots of the test data of the Certificate Transparency project (merkletree tests).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    leaves = [leaf(data) for data in INPUTS[:size]]

    assert merkle.root_of_leaves(leaves) == f"sha256:{ROOTS[size - 1]}"


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert merkle.merkle_root([]) == "sha256:" + hashlib.sha256(b"").hexdigest()


def test_a_leaf_is_the_rows_canonical_bytes() -> None:
    assert merkle.leaf_hash({"b": 1, "a": 2}) == leaf(b'{"a":2,"b":1}')
    assert merkle.merkle_root([{"b": 1, "a": 2}]) == "sha256:" + leaf(b'{"a":2,"b":1}').hex()


@given(st.lists(st.integers(0, 3), max_size=40))
def test_the_fold_equals_the_recursive_definition(rows: list[int]) -> None:
    expected = _defined([merkle.leaf_hash(row) for row in rows]).hex()

    assert merkle.merkle_root(rows) == f"sha256:{expected}"


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.integers(0, 3), max_size=9))
def test_different_rows_have_different_roots(one: list[int], other: list[int]) -> None:
    assert (merkle.merkle_root(one) == merkle.merkle_root(other)) == (one == other)


def _defined(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _defined(leaves[:split]) + _defined(leaves[split:])).digest()
