"""The defensive `.npy` reader: what NumPy writes comes back, everything else is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinynet.npy import HEADER_LIMIT, Header, read_array, read_header


def npy(array, version=None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), version=version)
    return stream.getvalue()


def with_header(text: str | bytes, data: bytes = bytes(24), version: int = 1) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    width = 2 if version == 1 else 4
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
        written = np.asarray(array, order=order)
        read = read_array(npy(written))
        assert read.dtype == array.dtype
        assert read.shape == array.shape
        assert read.tobytes() == array.tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_three_versions_are_read(version):
    assert read_array(npy(np.arange(3.0), version)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}",
        "{'shape':(3,),'fortran_order':False,'descr':'<f8'}",
        '{"descr": "<f8", "fortran_order": False, "shape": (3,)}   \n',
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }",
        "{ 'descr' : '<f8' , 'fortran_order' : True , 'shape' : ( 3 , ) , }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 3)}",
    ],
)
def test_headers_of_other_writers_are_read(text):
    assert read_array(with_header(text)).shape in ((3,), (1, 3))


def test_the_array_is_a_view_that_is_writable_if_the_content_is():
    content = bytearray(npy(np.zeros(3)))
    array = read_array(content)
    array[2] = 1
    assert read_array(bytes(content)).tolist() == [0, 0, 1]
    assert not read_array(bytes(content)).flags.writeable


def test_a_stream_is_left_at_the_first_element():
    stream = io.BytesIO(npy(np.arange(5, dtype=np.uint8)))
    assert read_header(stream) == Header((5,), np.dtype(np.uint8), 128, False)
    assert stream.read() == bytes(range(5))


def test_fortran_order_is_told_and_undone():
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert read_header(npy(array)).fortran_order
    np.testing.assert_array_equal(read_array(npy(array)), array)


WHOLE = with_header(header())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.npy: ends at offset 0, inside the header"),
        (WHOLE[:9], "ends at offset 9, inside the header, of which 10 bytes"),
        (WHOLE[:40], "ends at offset 40, inside the header"),
        (b"PK\3\4" + WHOLE[4:], r"offset 0: b'PK.*expected b'\\x93NUMPY'"),
        (with_header(header(), version=4), r"offset 6: version 4\.0, expected 1\.0 to 3\.0"),
        (with_header(header(), version=0), r"offset 6: version 0\.0"),
        (WHOLE[:7] + b"\1" + WHOLE[8:], r"offset 6: version 1\.1"),
        (
            WHOLE[:6] + b"\2\0" + (HEADER_LIMIT + 1).to_bytes(4, "little") + WHOLE[12:],
            "offset 8: a header of 65537 bytes, expected 65536 at most",
        ),
        (WHOLE[:-1], r"23 bytes of elements, expected 24 for shape \(3,\) of float64"),
        (WHOLE + b"x", "25 bytes of elements, expected 24"),
        (with_header("[]"), "offset 10: header '\\[\\]', expected a dict"),
        (with_header("{}"), "expected descr, fortran_order and shape"),
        (with_header("{'descr': '<f8', 'fortran_order': False}"), "expected descr, fortran_order"),
        (with_header(header()[:-3] + ", 'shape': (3,)}"), "once each"),
        (with_header(header()[:-1] + "'more': 1}"), "once each; it goes wrong at \"'more': 1"),
        (with_header(header().replace(", 'shape'", " 'shape'")), "expected a comma before"),
        (with_header("{'descr': 'é'}"), "ascii"),
        (with_header(header("'|O'")), "pickled objects are refused"),
        (with_header(header("'O'")), "pickled objects are refused"),
        (with_header(header("[('a', '<f4')]")), "array of records"),
        (with_header(header("'<f4,<f4'")), "dtype .*expected numbers or text"),
        (with_header(header("'<M8[ns]'")), "dtype .*expected numbers or text"),
        (with_header(header("'|V8'")), "dtype .*expected numbers or text"),
        (with_header(header("'<U0'")), "dtype .*expected numbers or text"),
        (with_header(header("'(3,)<f8'")), "dtype .*expected numbers or text"),
        (with_header(header("'float64'")), "dtype .*expected numbers or text"),
        (with_header(header("'<U9999999999'")), "dtype"),
        (with_header(header("True")), "dtype 'True', expected one such as '<f4'"),
        (with_header(header(fortran="(0,)")), "fortran_order .*expected True or False"),
        (with_header(header(shape="(-3,)")), r"shape '\(-3,\)', expected sizes of 0 or more"),
        (with_header(header(shape="(3)")), r"shape '\(3\)', expected sizes such as \(3,\)"),
        (with_header(header(shape="(,)")), "expected sizes of 0 or more"),
        (with_header(header(shape="(3 3)")), r"expected sizes such as \(3,\)"),
        (with_header(header(shape="(1.0,)")), "goes wrong at"),
        (with_header(header(shape="3")), "goes wrong at"),
        (with_header(header(shape="True")), "shape 'True', expected sizes such as"),
        (with_header(header(shape=f"({'1, ' * 33})")), "more than 32 dimensions"),
        (with_header(header(shape=f"({2**40}, {2**40})")), "more than can be addressed"),
        (with_header(header(shape=f"(0, {2**40}, {2**40})"), b""), "more than can be addressed"),
        (with_header(header(shape=f"({2**44},)")), f"24 bytes of elements, expected {2**47}"),
        (with_header(header("'|b1'"), b"\0\1\2"), r"offset \d+: .* a bool is 0 or 1"),
        (with_header(header("'<U1'"), b"a\0\0\0" + b"\xff" * 8), "Unicode scalar value"),
        (with_header(header("'>U1'"), b"\0\0\xd8\0" + bytes(8)), "Unicode scalar value"),
    ],
)
def test_what_is_no_plain_array_is_refused_with_offset_and_expectation(content, message):
    with pytest.raises(ValueError, match=message):
        read_array(content, "a.npy")


def test_a_header_cannot_take_long_to_be_refused():
    for filler in (" ", "(", "'", "1,", "'descr': '", "{" * 9, "-", "((((", ", "):
        text = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + filler * HEADER_LIMIT
        with pytest.raises(ValueError, match="offset 10"):
            read_header(with_header(text[:65000]))
