"""Values and gradients of Tensor's operations agree with PyTorch's in float64.

Each row of the table is one function that runs on tensors of either library (`lib` is the
library), or a pair of functions where the two spell it differently.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinynet
from tinynet import ops
from tinynet.gradcheck import gradcheck

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:torch.chain_matmul is deprecated")
rng = np.random.default_rng(11)


def normal(*shape):
    return rng.standard_normal(shape) * 2


def positive(*shape):
    return rng.uniform(0.2, 3, shape)


def with_ties(*shape):
    return np.round(rng.standard_normal(shape))


def both(function, *inputs, id):  # noqa: A002
    return pytest.param(function, function, inputs, id=id)


def each(ours, theirs, *inputs, id):  # noqa: A002
    return pytest.param(ours, theirs, inputs, id=id)


def axes_rows():
    """Reductions over every kind of axis, with and without keepdim."""
    for name in ("sum", "mean", "logsumexp"):
        for dim in (0, 1, -1, (0, 2), (-1, 0, 1)):
            for keepdim in (False, True):
                yield both(
                    lambda x, n=name, d=dim, k=keepdim: getattr(x, n)(dim=d, keepdim=k),
                    normal(3, 4, 2),
                    id=f"{name} {dim} {keepdim}",
                )
    for name in ("var", "std"):
        for dim in (0, -1, (0, 2)):
            for correction in (0, 1, 2):
                yield both(
                    lambda x, n=name, d=dim, c=correction: getattr(x, n)(dim=d, correction=c),
                    normal(3, 4, 5),
                    id=f"{name} {dim} correction {correction}",
                )
        yield both(
            lambda x, n=name: getattr(x, n)(dim=1, correction=0, keepdim=True),
            normal(3, 4),
            id=f"{name} keepdim",
        )
        yield both(lambda x, n=name: getattr(x, n)(correction=0), normal(3, 4), id=f"{name} all")
    for name in ("max", "min"):
        for dim in (0, 1, -1):
            for keepdim in (False, True):
                yield both(
                    lambda x, n=name, d=dim, k=keepdim: getattr(x, n)(dim=d, keepdim=k).values,
                    normal(3, 4, 2),
                    id=f"{name} {dim} {keepdim}",
                )
        yield both(lambda x, n=name: getattr(x, n)(), normal(3, 4), id=f"{name} all")
        yield both(
            lambda x, n=name: getattr(x, f"a{n}")((0, 2)),
            normal(3, 4, 2),
            id=f"{name} of two axes",
        )
    yield both(lambda x: x.sum(), normal(3, 4), id="sum all")
    yield both(lambda x: x.mean(), normal(3, 4), id="mean all")
    for name in ("softmax", "log_softmax", "cumsum"):
        for dim in (0, 1, -1):
            yield both(
                lambda x, n=name, d=dim: getattr(x, n)(dim=d), normal(3, 4, 2), id=f"{name} {dim}"
            )


def activation_rows():
    functional = torch.nn.functional
    settings = {
        "leaky_relu": [{}, {"negative_slope": 0.2}],
        "elu": [{}, {"alpha": 0.7}],
        "gelu": [{}, {"approximate": "tanh"}],
        "silu": [{}],
        "softplus": [{}, {"beta": 2.0}],
    }
    for name, choices in settings.items():
        for choice in choices:
            yield each(
                lambda x, n=name, c=choice: getattr(x, n)(**c),
                lambda x, n=name, c=choice: getattr(functional, n)(x, **c),
                np.concatenate([normal(20), [0.0, -15.0, 15.0]]),
                id=f"{name} {choice}",
            )


def broadcast_rows():
    functions = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
        "/": lambda x, y: x / y,
        "**": lambda x, y: x**y,
        "maximum": lambda x, y: x.maximum(y),
        "minimum": lambda x, y: x.minimum(y),
    }
    shapes = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 3), (4, 1)), ((), (2, 3)), ((1,), (3, 1))]
    for name, function in functions.items():
        for a, b in shapes:
            yield both(function, positive(*a), positive(*b), id=f"{name} {a} {b}")
    for name in ("maximum", "minimum"):
        yield both(functions[name], with_ties(5, 6), with_ties(5, 6), id=f"{name} with ties")


def matmul_rows():
    for a, b in [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (5, 3, 4)),
        ((3,), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((6, 5, 2, 3), (3,)),
        ((3,), (6, 5, 3, 4)),
        ((2, 0), (0, 3)),
        ((0, 3), (3, 2)),
    ]:
        yield both(lambda x, w: x @ w, normal(*a), normal(*b), id=f"{a} @ {b}")


def index_rows():
    rows, columns = np.array([0, 2, 0]), np.array([1, 1, 1])
    mask = rng.random((3, 4)) > 0.5
    indices = {
        "int": 1,
        "slice": (slice(None), slice(1, None, 2)),
        "none": (None, 2),
        "ellipsis": (..., 0),
        "repeats": rows,
        "pairs with repeats": (rows, columns),
        "slice and repeats": (slice(1, 3), rows),
        "slice and array": (slice(1, 3), np.array([3, 0])),
        "mask": mask,
    }
    for name, index in indices.items():
        yield both(lambda x, i=index: x[i], normal(3, 4), id=f"index {name}")

        def assign(x, value, i=index):
            y = x * 1
            y[i] = value
            return y

        if "repeats" not in name:  # PyTorch sends a gradient to values that were overwritten too
            yield both(
                assign, normal(3, 4), normal(*np.zeros((3, 4))[index].shape), id=f"set {name}"
            )


TABLE = [
    both(lambda x: -x, normal(3, 4), id="neg"),
    both(lambda x: x.exp(), normal(3, 4), id="exp"),
    both(lambda x: x.log(), positive(3, 4), id="log"),
    both(lambda x: x.sqrt(), positive(3, 4), id="sqrt"),
    both(lambda x: x.square(), normal(3, 4), id="square"),
    both(lambda x: abs(x), with_ties(5, 6), id="abs with zeros"),
    both(lambda x: x.sigmoid(), normal(3, 4) * 10, id="sigmoid"),
    both(lambda x: x.tanh(), normal(3, 4), id="tanh"),
    both(lambda x: x.relu(), with_ties(5, 6), id="relu with zeros"),
    *[both(lambda x, p=p: x**p, positive(3, 4), id=f"x ** {p}") for p in (2, 3, 0.5, -1, -1.5, 1)],
    both(lambda x: x**0, with_ties(3, 4), id="x ** 0 with zeros"),
    both(lambda x: x**2, with_ties(5, 6), id="x ** 2 with zeros"),
    both(lambda p: 2**p, normal(3, 4), id="2 ** p"),
    both(lambda x: 3 - 2 / x + 1, positive(3, 4), id="scalars on the left"),
    both(lambda x: x.clip(-1, 1), with_ties(5, 6), id="clip with ties"),
    both(lambda x: x.clip(min=0.5), normal(3, 4), id="clip below"),
    both(lambda x: x.clamp(max=0.5), normal(3, 4), id="clip above"),
    each(
        lambda x, y: tinynet.where(x > y, x, y * 2),
        lambda x, y: torch.where(x > y, x, y * 2),
        *(normal(3, 4), normal(4)),
        id="where",
    ),
    both(lambda x: x.masked_fill(x > 0, 3.0), normal(3, 4), id="masked_fill"),
    *activation_rows(),
    *broadcast_rows(),
    *axes_rows(),
    *matmul_rows(),
    *index_rows(),
    each(
        ops.linear,
        torch.nn.functional.linear,
        *(normal(5, 2, 3), normal(4, 3), normal(4)),
        id="linear",
    ),
    each(ops.linear, torch.nn.functional.linear, normal(5, 3), normal(4, 3), id="linear no bias"),
    each(ops.linear, torch.nn.functional.linear, normal(3), normal(4, 3), id="linear of a vector"),
    both(lambda x: x.reshape(2, -1).flatten(), normal(3, 4), id="reshape"),
    both(lambda x: x.flatten(1, 2), normal(2, 3, 4, 2), id="flatten"),
    both(lambda x: x.permute(2, 0, 1), normal(2, 3, 4), id="permute"),
    both(lambda x: x.permute(-1, 0, -2), normal(2, 3, 4), id="permute negative"),
    both(lambda x: x.transpose(0, 2), normal(2, 3, 4), id="transpose"),
    both(lambda x: x.mT, normal(2, 3, 4), id="mT"),
    both(lambda x: x.expand(4, 2, -1), normal(2, 1), id="expand"),
    both(lambda x: x.squeeze(), normal(2, 1, 3, 1), id="squeeze"),
    both(lambda x: x.squeeze(1).unsqueeze(-1), normal(2, 1, 3), id="squeeze one"),
    both(lambda x: x.flip(0, 2), normal(2, 3, 4), id="flip"),
    both(lambda x: x.chunk(2, 1)[0] * 2 + x.chunk(2, 1)[1], normal(3, 4), id="chunk"),
    both(lambda x: x.unbind(1)[2] * x.unbind(1)[0], normal(2, 3), id="unbind"),
    both(lambda x: x.split(2, 1)[1] * 3, normal(2, 5), id="split"),
    both(lambda x: x.split([1, 4], 1)[1] * 3, normal(2, 5), id="split sizes"),
    each(
        lambda x, y, z: tinynet.cat([x, y, z, x], dim=-1),
        lambda x, y, z: torch.cat([x, y, z, x], dim=-1),
        *(normal(2, 3), normal(2, 1), normal(2, 0)),
        id="cat",
    ),
    each(
        lambda x, y: tinynet.stack([x, y, x], dim=1),
        lambda x, y: torch.stack([x, y, x], dim=1),
        *(normal(2, 3), normal(2, 3)),
        id="stack",
    ),
    each(
        lambda x: ops.pad(x, [(1, 0), (2, 3)], value=1.5),
        lambda x: torch.nn.functional.pad(x, (2, 3, 1, 0), value=1.5),
        normal(2, 3),
        id="pad",
    ),
    both(lambda x: x.clone() * x.detach(), normal(3), id="clone and detach"),
    *(
        each(
            lambda *xs, f=function: f(tinynet, *xs),
            lambda *xs, f=function: f(torch, *xs),
            *inputs,
            id=name,
        )
        for name, function, inputs in (
            ("combinations", lambda lib, x: lib.combinations(x), (normal(4),)),
            ("combinations 3", lambda lib, x: lib.combinations(x, 3, True), (normal(3),)),
            ("combinations of fewer", lambda lib, x: lib.combinations(x, 5), (normal(3),)),
            ("combinations 0", lambda lib, x: lib.combinations(x, 0) + x.sum(), (normal(3),)),
            ("cartesian_prod", lambda lib, x, y: lib.cartesian_prod(x, y), (normal(2), normal(3))),
            (
                "block_diag",
                lambda lib, x, y, z: lib.block_diag(x, y, z),
                (normal(2, 3), normal(2), normal()),
            ),
            ("linalg.vander", lambda lib, x: lib.linalg.vander(x, N=2), (normal(4),)),
            (
                "addbmm",
                lambda lib, x, y, z: lib.addbmm(x, y, z, beta=0.5, alpha=2),
                (normal(2, 4), normal(3, 2, 5), normal(3, 5, 4)),
            ),
            (
                "addbmm_",
                lambda lib, x, y, z: (x * 1).addbmm_(y, z),
                (normal(2, 4), normal(3, 2, 5), normal(3, 5, 4)),
            ),
            ("copysign", lambda lib, x: lib.copysign(x, lib.cos(x).detach()), (normal(9),)),
            ("copysign of 0", lambda lib, x: x.copysign(lib.tensor([1.0, -1])), (np.zeros(2),)),
            ("lstsq", lambda lib, a, b: lib.linalg.lstsq(a, b)[0], (normal(6, 3), normal(6, 2))),
            (
                "lstsq wide",
                lambda lib, a, b: lib.linalg.lstsq(a, b)[0],
                (normal(3, 6), normal(3, 2)),
            ),
            (
                "lstsq batch",
                lambda lib, a, b: lib.linalg.lstsq(a, b).solution,
                (normal(2, 5, 3), normal(2, 5, 2)),
            ),
            ("vdot", lambda lib, x, y: lib.vdot(x, y), (normal(4), normal(4))),
            (
                "chain_matmul",
                lambda lib, x, y, z: lib.chain_matmul(x, y, z),
                (normal(2, 3), normal(3, 4), normal(4, 2)),
            ),
            *(
                (
                    f"matrix_exp {scale}",
                    lambda lib, x: lib.matrix_exp(x),
                    (normal(2, 4, 4) * scale,),
                )
                for scale in (1e-3, 0.3, 3)
            ),
            ("linalg.matrix_exp", lambda lib, x: lib.linalg.matrix_exp(x), (normal(3, 3),)),
            *(
                (f"pdist {p}", lambda lib, x, p=p: lib.pdist(x, p), (normal(5, 3),))
                for p in (1.0, 2.0, 3.0, float("inf"))
            ),
            *(
                (
                    f"renorm {p} {dim}",
                    lambda lib, x, p=p, dim=dim: x.renorm(p, dim, 4.0),
                    (normal(4, 3, 2) * np.arange(1, 5)[:, None, None],),
                )
                for p, dim in ((2, 0), (1, -1), (3, 1))
            ),
            ("renorm_", lambda lib, x: (x * 1).renorm_(2, 0, 1.5), (normal(4, 3),)),
            ("rrelu", lambda lib, x: lib.rrelu(x, 0.1, 0.2), (normal(9),)),
            ("unfold", lambda lib, x: x.unfold(1, 3, 2), (normal(2, 8),)),
            ("as_strided", lambda lib, x: lib.as_strided(x, (2, 3), (1, 2), 1), (normal(3, 4),)),
        )
    ),
    each(
        lambda x: x.astype(np.float32).astype(np.float64) * 1,
        lambda x: x.float().double() * 1,
        normal(3),
        id="astype",
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "inputs"), TABLE)
def test_values_and_gradients_agree(ours, theirs, inputs):
    xs = [tinynet.tensor(x, requires_grad=True) for x in inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, t = ours(*xs), theirs(*ts)
    assert y.shape == tuple(t.shape)
    np.testing.assert_allclose(y.array, t.detach().numpy(), rtol=1e-9, atol=1e-9)
    dy = np.asarray(np.random.default_rng(5).standard_normal(y.shape))
    y.backward(dy)
    t.backward(torch.from_numpy(dy))
    for x, s in zip(xs, ts):
        np.testing.assert_allclose(x.grad.array, s.grad.numpy(), rtol=1e-8, atol=1e-9)


def test_in_place_chains_agree():
    def chain(x, w):
        y = x * 2
        y += w
        y *= y + 1
        y[0] = w * w
        y[y > 3] *= 3
        y /= 4
        return (y * x).sum()

    inputs = normal(3, 4), normal(4)
    xs = [tinynet.tensor(x, requires_grad=True) for x in inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in inputs]
    chain(*xs).backward()
    chain(*ts).backward()
    for x, s in zip(xs, ts):
        np.testing.assert_allclose(x.grad.array, s.grad.numpy(), rtol=1e-10)


def test_what_has_no_gradient_agrees():
    values = normal(40)
    values[::3] = 0
    x, t = tinynet.tensor(values), torch.tensor(values)
    assert x.heaviside(x * 0 + 0.5).tolist() == t.heaviside(t * 0 + 0.5).tolist()
    for more in ({}, {"N": 3, "increasing": True}):  # whose gradient fails in PyTorch 2.13
        np.testing.assert_allclose(tinynet.vander(x, **more).array, torch.vander(t, **more).numpy())
    gradcheck(tinynet.vander, normal(4)).raise_for_failures()
    integers, others = np.array([[12], [0], [-9]]), np.array([18, 0, 5, -6])
    for name in ("gcd", "lcm"):
        ours = getattr(tinynet, name)(tinynet.tensor(integers), tinynet.tensor(others))
        theirs = getattr(torch, name)(torch.tensor(integers), torch.tensor(others))
        assert ours.tolist() == theirs.tolist()
    edges = [-2.0, -1.0, 0.5, 3.0]
    for ours, theirs in (
        (x.histogram(5), t.histogram(5)),
        (tinynet.histogram(x, 4, range=(-1, 2)), torch.histogram(t, 4, range=(-1.0, 2.0))),
        (
            tinynet.histogram(x, tinynet.tensor(edges).double(), weight=x * x, density=True),
            torch.histogram(t, torch.tensor(edges).double(), weight=t * t, density=True),
        ),
    ):
        np.testing.assert_allclose(ours.hist.array, theirs.hist.numpy())
        np.testing.assert_allclose(ours.bin_edges.array, theirs.bin_edges.numpy())
    a, b = normal(6, 3), normal(6, 2)
    for driver in (None, "gels", "gelsd", "gelss", "gelsy"):
        ours = tinynet.linalg.lstsq(tinynet.tensor(a), tinynet.tensor(b), driver=driver)
        theirs = torch.linalg.lstsq(torch.tensor(a), torch.tensor(b), driver=driver)
        for mine, other in zip(ours, theirs):
            np.testing.assert_allclose(mine.array, other.numpy())
    vector = tinynet.linalg.lstsq(tinynet.tensor(a), tinynet.tensor(b[:, 0])).solution
    np.testing.assert_allclose(vector.array, theirs.solution[:, 0].numpy())
    with pytest.raises(tinynet.ShapeError, match="equally many rows"):
        tinynet.linalg.lstsq(tinynet.ones(3, 2), tinynet.ones(4, 1))


def test_what_may_be_cast_agrees():
    names = "bool", "uint8", "int8", "int64", "float32", "float64"
    for first, second in itertools.product(names, names):
        expected = torch.can_cast(getattr(torch, first), getattr(torch, second))
        ours = getattr(tinynet, first), getattr(tinynet, second)
        assert tinynet.can_cast(*ours) == expected, (first, second)
    for settings in ({}, {"dtype": "int64"}, {"dtype": "float64", "requires_grad": True}):
        mine = tinynet.scalar_tensor(3, **settings)
        theirs = torch.scalar_tensor(
            3, **{k: getattr(torch, v) if k == "dtype" else v for k, v in settings.items()}
        )
        assert mine.item() == theirs.item()
        assert str(theirs.dtype) == f"torch.{mine.dtype}"
        assert mine.requires_grad == theirs.requires_grad


def test_slopes_at_random_lie_between_the_bounds():
    x = tinynet.full((1000,), -1.0)
    x[0] = 2.0
    slopes = -tinynet.nn.functional.rrelu(x, 0.1, 0.3, training=True)
    assert slopes[0].item() == -2
    assert 0.1 <= slopes[1:].min().item() < slopes[1:].max().item() <= 0.3
    with pytest.raises(ValueError, match=r"lower must be at most upper, got 0\.5 and 0\.3"):
        tinynet.rrelu(x, 0.5, 0.3)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda x: tinynet.matrix_exp(x), r"square matrices \(\.\.\., N, N\), got shape \(2, 3\)"),
        (lambda x: tinynet.pdist(x[0]), r"vectors \(N, D\), got shape \(3,\)"),
        (lambda x: x[0].renorm(2, 0, 1.0), r"at least two axes, got shape \(3,\)"),
        (lambda x: x.renorm(2, 0, -1.0), "maxnorm"),
        (lambda x: tinynet.vdot(x, x), "two vectors"),
    ],
)
def test_what_these_refuse(use, words):
    with pytest.raises(ValueError, match=words):
        use(tinynet.ones(2, 3))


def test_windows_are_views_of_what_is_not_recorded():
    for lib in (tinynet, torch):
        x = lib.zeros(2, 6)
        x.unfold(1, 3, 2)[0, 1, 0] = 5
        lib.as_strided(x, (2, 2), (6, 1), 3)[1, 0] = 7
        assert x.tolist() == [[0, 0, 5, 0, 0, 0], [0, 0, 0, 7, 0, 0]]
    with pytest.raises(tinynet.ShapeError, match="as_strided: takes places within the input"):
        tinynet.as_strided(tinynet.zeros(4), (2, 2), (3, 1), 1)


SHOWN = [
    np.float32([1, 2]), np.float32([1.5, -2]), np.float32([1e-5, 1]), np.float32([1e9]),
    np.float32([np.nan, 1, np.inf]), np.float32([np.nan]), np.float32([0, 0]), np.float32(2.30258),
    np.float32([[1000, 2], [1, 0.5]]), normal(3, 4), normal(2, 3, 4), normal(50, 50),
    np.float32(normal(2, 2, 30)), normal(2, 3, 20, 20), np.arange(40), np.arange(2000),
    np.array([True, False]), np.zeros((0, 3)), np.zeros(0), np.int32([1, -100]), np.uint8([1]),
    np.float32(normal(1, 20) * 1000),
]  # fmt: skip


@pytest.mark.parametrize("array", SHOWN, ids=lambda x: f"{x.dtype} {x.shape}")
def test_a_tensor_is_shown_as_in_pytorch(array):
    for make in (lambda lib: lib.tensor(array), lambda lib: lib.tensor(array).double()):
        assert repr(make(tinynet)) == repr(make(torch)).replace("torch.", "tinynet.")
    if array.dtype.kind == "f":
        leaf = [lib.tensor(array, requires_grad=True) for lib in (tinynet, torch)]
        for x, t in (leaf, [x * 2 for x in leaf]):
            assert f"{x}" == f"{t}".replace("torch.", "tinynet.") or x.ndim == 0
