"""One array of an .npz file: what NumPy writes comes back, everything else is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinynet.data.npz import read_npy
from tinynet.errors import DataError


def npy(array, version=None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), version=version)
    return stream.getvalue()


def with_header(text: str, data: bytes = bytes(24), version: int = 1) -> bytes:
    width = 2 if version == 1 else 4
    raw = text.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(raw).to_bytes(width, "little") + raw + data


def header(descr="'<f8'", fortran="False", shape="(3,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"


PLAIN = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.byte_string_dtypes(min_len=1, max_len=5),
    hnp.unicode_string_dtypes(min_len=1, max_len=5),
)


@given(hnp.arrays(PLAIN, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
def test_what_numpy_writes_comes_back(array):
    for order in "CF":
        read = read_npy(npy(np.asarray(array, order=order)))
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'shape':(3,),'fortran_order':False,'descr':'<f8'}",
        '{"descr": "<f8", "fortran_order": False, "shape": (3,)}   \n',
        "{ 'descr' : '<f8' , 'fortran_order' : True , 'shape' : ( 3 , ) , }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3)}",
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_headers_of_other_writers_are_read(text, version):
    assert read_npy(with_header(text, version=version)).shape in ((3,), (1, 3))


WHOLE = with_header(header())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a plain .npy array"),
        (WHOLE[:9], "not a plain .npy array"),
        (WHOLE[:40], "not a plain .npy array"),
        (b"PK\3\4" + WHOLE[4:], "magic string is not correct"),
        (with_header(header(), version=3), r"version \(3, 0\), expected \(1, 0\) or \(2, 0\)"),
        (with_header(header() + " " * 1024), "not a plain .npy array"),
        (WHOLE[:-1], r"23 bytes of elements, expected 24 for shape \(3,\) of float64"),
        (WHOLE + b"x", "25 bytes of elements, expected 24"),
        (with_header("[]"), "not a plain .npy array"),
        (with_header("{'descr': '<f8', 'fortran_order': False}"), "not a plain .npy array"),
        (with_header(header()[:-1] + "'more': 1}"), "not a plain .npy array"),
        (with_header("(" * 900), "not a plain .npy array"),
        (with_header("__import__('os').abort()"), "not a plain .npy array"),
        (
            with_header(header("'|O'")),
            "object, expected plain .*; pickled objects can run code: save numbers",
        ),
        (with_header(header("[('a', '<f4')]")), "expected plain numbers or text"),
        (with_header(header("'<M8[ns]'")), "expected plain numbers or text"),
        (with_header(header("'|V8'")), "expected plain numbers or text"),
        (with_header(header("'<U0'")), "expected plain numbers or text"),
        (with_header(header("'(3,)<f8'")), "expected plain numbers or text"),
        (with_header(header("'<U9999999999'")), "not a plain .npy array"),
        (with_header(header(fortran="(0,)")), "not a plain .npy array"),
        (with_header(header(shape="(-3,)")), r"no array has the shape \(-3,\)"),
        (with_header(header(shape="(3)")), "not a plain .npy array"),
        (with_header(header(shape="(1.0,)")), "not a plain .npy array"),
        (with_header(header(shape=f"({2**40}, {2**40})")), "no array has the shape"),
        (with_header(header(shape=f"(0, {2**40}, {2**40})"), b""), "no array has the shape"),
        (with_header(header(shape=f"({2**44},)")), f"24 bytes of elements, expected {2**47}"),
        (with_header(header("'|b1'"), b"\0\1\2"), "a bool is 0 or 1"),
        (with_header(header("'<U1'"), b"a\0\0\0" + b"\xff" * 8), "Unicode scalar value"),
        (with_header(header("'>U1'"), b"\0\0\xd8\0" + bytes(8)), "Unicode scalar value"),
    ],
)
def test_what_is_no_plain_array_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        read_npy(content, "a.npy")
