"""The kernel lab: right solutions pass every stage, wrong ones are told what is wrong."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinynet import kernels
from tinynet.cli import main
from tinynet.kernels.geometry import Geometry
from tinynet.lab import EXERCISES, find, judge, judge_folder, reference, starter, trial
from tinynet.lab.compare import side_by_side, unlike
from tinynet.lab.report import Report, class_table, from_dict
from tinynet.lab.speed import Timing
from tinynet.lab.trial import Plan, Trial

SOLUTIONS = Path(__file__).parent / "lab_solutions"
CONV2D = (SOLUTIONS / "conv2d.py").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """One small training run for all, and timings that are not repeated."""
    monkeypatch.setattr(trial, "PLANS", [Plan(trial.SMALL_NET, 400, 2)])
    monkeypatch.setattr("tinynet.lab.speed.ENOUGH", 0.0)
    monkeypatch.setattr("tinynet.lab.speed.TOO_LONG", 0.1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(tmp_path, name, source, **settings):
    path = tmp_path / f"{name}_by_someone.py"
    path.write_text(source, encoding="utf-8")
    return judge(find(name), path, train_seconds=0, **settings)


# ----- what is right ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_the_worked_solution_passes_every_stage(name):
    told = []
    report = judge(find(name), SOLUTIONS / f"{name}.py", tell=told.append)
    assert report.ok, (report.problem, report.detail)
    assert report.passed == report.cases >= 6
    assert report.trial.accuracy > 0.6
    assert len(report.timings) == 2 * len(find(name).functions)
    assert all(min(t.yours, t.loops, t.built_in) > 0 for t in report.timings)
    assert f"grid      all {report.cases} cases are right" in told
    if name == "sgd":
        assert "no gradient" in report.gradient
    else:
        assert re.search(r"agrees with finite differences \(\d+ numbers", report.gradient)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_loops_themselves_are_right_answers_and_no_mistake_is_mistaken_for_them(name, tmp_path):
    report = judged(tmp_path, name, Path(reference.__file__).read_text(encoding="utf-8"))
    assert report.passed == report.cases
    assert report.stage in ("speed", "done"), report.problem


def test_a_training_run_uses_the_function_that_was_handed_in():
    calls = []

    def counting(name, function):
        def call(*args):
            calls.append(name)
            return function(*args)

        return call

    plan = Plan(trial.SMALL_NET, 64, 1)
    for name, exercise in EXERCISES.items():
        namespace = {}
        exec((SOLUTIONS / f"{name}.py").read_text(encoding="utf-8"), namespace)
        functions = {f: counting(f, namespace[f]) for f in exercise.functions}
        calls.clear()
        if name == "conv2d_dx":  # the small net has no layer before its convolution
            with exercise.in_place(functions, None):
                dy, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
                kernels.current.conv2d_dx(dy, w, Geometry.of((3, 3), (2, 2)))
            assert calls == ["conv2d_dx"]
            continue
        trial.run(exercise, functions, plan)
        assert set(calls) == set(exercise.functions)


def test_a_function_that_learns_nothing_is_seen_in_training(monkeypatch):
    monkeypatch.setattr(trial, "run", lambda *a: Trial("a plan", 0.5, 0.9, 1.0))
    report = judge(find("relu"), SOLUTIONS / "relu.py")
    assert not report.ok
    assert report.problem == (
        "training: the net learns less than with the built-in function: 50.0 % against 90.0 %"
    )


def test_the_plan_of_the_training_run_follows_from_the_speed(monkeypatch):
    monkeypatch.setattr(trial, "PLANS", [Plan(trial.SMALL_NET, 400, 2), Plan("digits_cnn", 9, 1)])
    exercise = find("relu")
    functions = {"relu": kernels.current.relu, "relu_dx": kernels.current.relu_dx}
    assert trial.choose_plan(exercise, functions, 1e9) == trial.PLANS[0]
    assert trial.choose_plan(exercise, functions, 1e-9) == trial.PLANS[-1]


def test_the_gradient_check_finds_what_the_grid_does_not_ask(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from tinynet.lab.reference import relu\ndef relu_dx(dy, y):\n    return 2 * dy * (y > 0)\n"
    )
    report = judge(replace(find("relu"), cases=lambda: iter([])), path)
    assert report.stage == "gradient"
    assert report.problem.startswith("gradient: relu")
    assert report.detail


# ----- what is wrong ------------------------------------------------------------------------------


def with_change(old, new):
    assert CONV2D.count(old) == 1, old
    return CONV2D.replace(old, new)


def wrapped(body):
    return f"{CONV2D}\n\ninner, seen = conv2d, []\n\n\ndef conv2d(*args):\n{body}\n"


ARGUMENTS = "x, w, b, stride, padding, dilation, groups"
WRONG = [
    (
        with_change("w = w.reshape(", "w = w[:, :, ::-1, ::-1].reshape("),
        r"case 1 of 18 \(one image, .*\): wrong values of y: the kernel is flipped",
    ),
    (
        with_change("return y if b is None else y + b[:, None, None]", "return y"),
        r"case 6 of 18 \(a bias\): wrong values of y: the bias b is not added",
    ),
    (
        with_change("*padding", "*(p[::-1] for p in padding)"),
        r"case 9 of 18 \(uneven padding\): .* padding is \(\(top, bottom\), \(left, right\)\)",
    ),
    (
        with_change("    x = np.pad(", "    x -= 1\n    x = np.pad("),
        "conv2d changes its input x in place; work on x.copy()".replace("(", r"\(").replace(
            ")", r"\)"
        ),
    ),
    (
        with_change("OH, OW), x.dtype)", "OH, OW))"),
        r"case 17 of 18 \(float32\): y has dtype float64 for inputs of float32",
    ),
    (
        with_change(
            "    x = np.pad(", "    real, stride = stride, (1, 1)\n    x = np.pad("
        ).replace("// stride[a] + 1 for", "// real[a] + 1 for"),
        r"case 10 of 18 \(stride 2\): wrong values of y: the stride is ignored",
    ),
    (with_change("y += (", "y -= ("), r"wrong values of y: yours is -1 times what is expected"),
    (with_change("y += (", "0 * ("), r"wrong values of y: everything is 0"),
    (
        with_change("stride[0] + 1, stride[0])", "stride[0] + 2, stride[0])"),
        r"case \d+ of 18 .*: ValueError in line \d+: ",
    ),
    (f"def conv2d({ARGUMENTS}):\n    pass\n", r"y is None: does the function end with `return y`"),
    (
        f"def conv2d({ARGUMENTS}):\n    return x\n",
        r"y has shape \(1, 1, 3, 3\), it must be \(1, 1,",
    ),
    (f"def conv2d({ARGUMENTS}):\n    return [1, [2]]\n", r"y is a list, it must be a NumPy array"),
    (f"def conv2d({ARGUMENTS}):\n    return x, w\n", r"conv2d returns 2 values, it must return y"),
    (f"def conv2d({ARGUMENTS}):\n    return conv2d(", "SyntaxError in line 2: .* never closed"),
    ("def conv2d(x):\n    return x\n", r"TypeError: conv2d\(\) takes 1 positional argument"),
    ("def convolve(x):\n    return x\n", r"it defines no function `conv2d`; it defines convolve"),
    ("import numpy as np\n", r"it defines no function `conv2d`$"),
    ("import no_such_thing\n", r"ModuleNotFoundError in line 1: No module named 'no_such_thing'"),
    ("raise SystemExit(3)\n", r"calls exit\(\) while the file is loaded"),
    (f"def conv2d({ARGUMENTS}):\n    exit()\n", r"case 1 of 18 .*: calls exit\(\)"),
    (f"def conv2d({ARGUMENTS}):\n    return conv2d({ARGUMENTS})\n", r"RecursionError in line \d"),
    (f"def conv2d({ARGUMENTS}):\n    raise NotImplementedError\n", "NotImplementedError in line 2"),
    (
        wrapped("    seen.append(1)\n    return inner(*args) * (1 + (len(seen) > 3))"),
        "conv2d keeps state: the same inputs give another result the next time",
    ),
    (
        wrapped(
            "    y = inner(*args)\n    seen.append(y)\n    seen[-2:-1] and np.copyto(seen[-2], 0)\n"
            "    return y"
        ),
        "a later call of conv2d changes the array that an earlier one returned",
    ),
    (
        wrapped("    y = inner(*args)\n    y[0, 0, 0, 0] = np.nan\n    return y"),
        "wrong values of y",
    ),
    ("\ud800".encode("utf-8", "surrogatepass"), "SyntaxError in line 1: .*can't decode byte"),
    (
        wrapped("    class Own(BaseException):\n        __str__ = None\n    raise Own"),
        r"Own in line \d+: no message",
    ),
    (
        wrapped(
            "    class Odd:\n        @property\n        def __class__(self):\n"
            "            raise RuntimeError('odd')\n    return Odd()"
        ),
        r"RuntimeError in line \d+: odd",
    ),
    (
        "import threading\nfrom tinynet.lab import reference\n\n\ndef conv2d(*args):\n"
        "    y = []\n    one = threading.Thread(target=lambda: y.append(reference.conv2d(*args)))\n"
        "    one.start()\n    one.join()\n    return y[0]\n",
        r"conv2d calls tinynet\.lab\.reference",
    ),
    (
        wrapped("    import sys\n\n    sys.setprofile(None)\n    return inner(*args)"),
        r"conv2d calls sys\.setprofile",
    ),
    ("# " + "x" * (1 << 20), r"ValueError: the file has 1,048,578 bytes"),
    ("x = " + "(" * 5000 + ")" * 5000, r"(Syntax|Memory|Recursion)Error"),
    (
        f"from tinynet.nn import functional as F\n\n\ndef conv2d({ARGUMENTS}):\n"
        "    return F.conv2d(x, w, b).numpy()\n",
        r"conv2d calls tinynet\.\S+: in its place it would be calling itself; write it yourself",
    ),
    (
        f"from tinynet.lab.reference import conv2d as theirs\n\n\ndef conv2d({ARGUMENTS}):\n"
        f"    return theirs({ARGUMENTS})\n",
        r"conv2d calls tinynet\.lab\.reference: in its place",
    ),
    (
        f"import tqdm\n\n\ndef conv2d({ARGUMENTS}):\n    return tqdm.tqdm(x, disable=True)\n",
        r"conv2d calls tqdm: write it yourself, in Python and NumPy",
    ),
    (
        wrapped(
            "    key = args[0].shape, args[1].shape, args[3:]\n"
            "    known = dict(seen)\n    if key not in known:\n"
            "        seen.append((key, inner(*args)))\n    return dict(seen)[key].copy()"
        ),
        "conv2d answers other numbers with what it computed before; a cache must not go by",
    ),
    (
        wrapped(
            "    key = args[1].tobytes()\n    known = dict(seen)\n    if key not in known:\n"
            "        seen.append((key, inner(*args)))\n    return dict(seen)[key].copy()"
        ),
        "case 1 of 18 .* a cache must not go by the shapes, or some of the arrays, alone",
    ),
    (
        wrapped(
            "    x, w, b, *others = args\n"
            "    return inner(x, w, None if b is None else b * w[0].size, *others)"
        ),
        "the bias is added at every place of the kernel",
    ),
    (
        wrapped(
            "    x, w, b, *others, groups = args\n"
            "    order = np.argsort(np.arange(len(w)) % groups, kind='stable')\n"
            "    y = inner(x, w[order], b if b is None else b[order], *others, groups)\n"
            "    return y[:, np.argsort(order)]"
        ),
        r"kernel k belongs to group k // \(O // groups\), not k % groups",
    ),
    (
        with_change("*padding", "*((sum(p), 0) for p in padding)"),
        r"case 8 of 18 \(padding\): .* all the padding stands on one side",
    ),
]


@pytest.mark.parametrize(("source", "words"), WRONG, ids=[words[-30:] for _, words in WRONG])
def test_a_wrong_conv2d_gets_one_clear_line(source, words, tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    report = judge(find("conv2d"), path, train_seconds=0)
    assert not report.ok
    assert re.search(words, report.problem), report.problem
    assert "\n" not in report.problem


MISTAKES = {
    "conv2d_dx": [
        ("dx[:, :, :, rows, columns] += share", "dx[:, :, :, rows, columns] = share", "the sum"),
        ("dx[:, :, top : top + size[0], left :", "dx[:, :, bottom : bottom + size[0], left :", ""),
        (
            "dx[:, :, top : top + size[0], left : left + size[1]]",
            "dx[:, :, : size[0], : size[1]]",
            r"not dx\[:, :, :H, :W\]",
        ),
    ],
    "conv2d_dw": [
        ("return dw.reshape(", "return dw.reshape(", None),
        (
            "return dw.",
            "return 1 / N * dw.",
            "is 0.5 times .* over the 2 examples of the batch it is the sum",
        ),
    ],
    "conv2d": [
        ("x = np.pad(", "dilation = dilation[:1] * 2; x = np.pad(", r"dilation\[0\] is taken for"),
        ("x = np.pad(", "stride = stride[:1] * 2; x = np.pad(", r"stride\[0\] is taken for both"),
    ],
    "max_pool2d": [
        ("constant_values=-np.inf", "constant_values=0", "must count as -inf"),
        ("np.full((*x.shape[:2], OH, OW), -np.inf, x.dtype)", "np.zeros((), x.dtype)", "from 0"),
    ],
    "max_pool2d_dx": [
        ("free &= ~wins", "free &= True", "only the first may get dy"),
        ("+= dy * wins", "[wins] = (dy * wins)[wins]", "must get the sum: `\\+=`, not `=`"),
        ("(kernel[0]):", "(kernel[0])[::-1]:", "wrong values of dx"),
        (
            "for i in range(kernel[0]):\n        for j in range(kernel[1]):",
            "for i in range(kernel[0])[::-1]:\n        for j in range(kernel[1])[::-1]:",
            "that tie, the last gets dy",
        ),
        (
            "for i in range(kernel[0]):\n        for j in range(kernel[1]):",
            "for j in range(kernel[1]):\n        for i in range(kernel[0]):",
            "the first of the columns gets dy",
        ),
    ],
    "relu": [
        ("np.maximum(x, 0)", "np.abs(x)", "absolute value"),
        ("np.maximum(x, 0)", "np.maximum(x, 0.25 * x)", "wrong where x < 0, and right elsewhere"),
        ("dy * (y > 0)", "dy * (y >= 0)", "at y = 0 the gradient is 0"),
        ("dy * (y > 0)", "dy * (dy > 0)", "the mask is that of dy"),
    ],
    "cross_entropy": [
        (
            ".mean()",
            ".sum()",
            "yours is 4 times .* over the 4 examples of the batch it is the mean",
        ),
        ("return dx / len(x)", "return dx", "yours is 4 times .* it is the mean"),
        ("x - x.max(axis=1, keepdims=True)", "x", "RuntimeWarning|wrong values"),
        ("dx[np.arange(len(x)), target] -= 1", "pass", "the 1 of the target is missing"),
        ("].mean()", "].mean() / np.log(2)", "1.443 times .*: log is the natural logarithm"),
        ("return -log", "return log", "-1 times what is expected: the sign is wrong"),
    ],
    "sgd": [
        (
            "b + g\n    return p - lr * new_b,",
            "b + lr * g\n    return p - new_b,",
            "lr belongs outside of b",
        ),
        ("p - lr * new_b", "p + lr * new_b", "uphill"),
        ("p - lr * new_b", "p - lr * g", r"moves by lr \* b, of the new b"),
        ("momentum * b + g", "momentum * b + (1 - momentum) * g", "not multiplied by"),
        ("new_b = momentum * b + g", "b *= momentum; new_b = b + g", "changes its input b"),
        ("return p - lr * new_b, new_b", "return p - lr * new_b", "must return new p and new b"),
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [(name, *mistake) for name, mistakes in MISTAKES.items() for mistake in mistakes],
)
def test_the_usual_mistakes_are_recognised(name, old, new, words, tmp_path):
    source = (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")
    assert old in source
    report = judged(tmp_path, name, source.replace(old, new))
    if words is None:
        assert report.ok
    else:
        assert re.search(words, report.problem), report.problem
        assert not report.ok


def test_a_wrong_answer_is_shown_beside_the_right_one_with_the_inputs(tmp_path):
    report = judged(tmp_path, "conv2d", with_change("w = w.reshape(", "w = w[..., ::-1].reshape("))
    assert report.detail.splitlines()[:4] == [
        "y[0, 0]  (3 of 4 elements differ, the first at (0, 0, 0, 0))",
        "expected    yours      differs",
        " -1  -6      -3  -8    X X",
        "-18 -18     -18 -17    . X",
    ]
    assert "\n\nthe inputs:\nx of shape (1, 1, 3, 3)\n   3  1  1\n" in report.detail
    assert "stride = (1, 1)" in report.detail


def test_side_by_side_shows_the_slice_that_differs_and_where():
    expected = np.arange(8.0).reshape(2, 2, 2)
    actual = expected.copy()
    actual[1, 0, 1] = np.nan
    assert side_by_side("y", actual, expected) == (
        "y[1]  (1 of 8 elements differ, the first at (1, 0, 1))\n"
        "expected    yours      differs\n"
        "4 5           4 nan    . X\n"
        "6 7           6   7    . ."
    )
    assert unlike(actual, expected).sum() == 1


# ----- a class ------------------------------------------------------------------------------------

CLASS = {
    "a_right.py": CONV2D,
    "c_memory.py": "import numpy as np\nkeep = [np.ones(1 << 24) for _ in range(1000)]\n",
    "d_crash.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "e_exit.py": "import os\nos._exit(0)\n",
    "f_reads.py": "name = input()\n",
    "g_prints.py": f"{CONV2D}\nprint('hello ' * 1_000_000)\n",
    "sub/h_syntax.py": "def conv2d(:\n",
    ".hidden.py": "raise SystemExit\n",
}


def test_a_class_is_judged_each_by_itself(here, capsys):
    for name, source in CLASS.items():
        Path("class", name).parent.mkdir(parents=True, exist_ok=True)
        Path("class", name).write_text(source, encoding="utf-8")
    options = ["--train-seconds", "0", "--timeout", "300", "--memory", "600"]
    assert main(["lab", "conv2d", "class", *options, "--json", "class.json"]) == 1
    out, err = capsys.readouterr()
    assert "2 of 7 are right." in out
    assert "7 of 7: sub/h_syntax.py: WRONG" in err
    problems = {
        "c_memory.py": r"MemoryError in line 2: Unable to allocate",
        "d_crash.py": r"crashed its process \(SIGSEGV\) while the file was loaded",
        "e_exit.py": r"ended its process \(exit code 0\) while the file was loaded",
        "f_reads.py": r"EOFError in line 1",
        "sub/h_syntax.py": r"SyntaxError in line 1",
    }
    for name, words in problems.items():
        assert re.search(rf"{re.escape(name)} +{words}", out), out
    record = json.loads(Path("class.json").read_text())
    rows = {row["file"]: row for row in record["submissions"]}
    assert {name for name, row in rows.items() if row["ok"]} == {"a_right.py", "g_prints.py"}
    assert rows["a_right.py"]["timings"][-1]["against_loops"] > 0
    assert not list(Path("class").rglob("__pycache__"))


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", "# coding: latin-1 \xe9\n".encode("latin-1")])
def test_a_file_may_be_encoded_as_python_allows(start, tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(start + (SOLUTIONS / "relu.py").read_bytes())
    report = judge(find("relu"), path, train_seconds=0)
    assert report.ok, report.problem


def test_a_thread_that_is_left_does_not_keep_a_submission_from_being_right(here):
    Path("class").mkdir()
    Path("class/waits.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        + (SOLUTIONS / "relu.py").read_text()
    )
    (report,) = judge_folder(find("relu"), Path("class"), train_seconds=0)
    assert report.ok, report.problem


def test_a_submission_that_hangs_is_stopped_with_all_it_started(here):
    Path("class").mkdir()
    Path("class/hangs.py").write_text(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "while True:\n    pass\n"
    )
    (report,) = judge_folder(find("relu"), Path("class"), timeout=2)
    assert not report.ok
    assert report.problem.startswith("took longer than 2 s; stopped ")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="whose process it is Linux shows")
@pytest.mark.parametrize("hangs", [False, True])
def test_what_a_submission_starts_is_ended_with_it_in_sessions_of_its_own_too(here, hangs):
    Path("class").mkdir()
    Path("class/starts.py").write_text(
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(here / 'pid')!r}, 'w').write(str(p.pid))\n" + "while True: pass\n" * hangs
    )
    (report,) = judge_folder(find("relu"), Path("class"), timeout=4 if hangs else 300)
    assert not report.ok
    try:
        state = Path(f"/proc/{(here / 'pid').read_text()}/stat").read_text().rpartition(")")[2]
    except FileNotFoundError:
        return
    assert state.split()[0] == "Z", "it is dead, and not yet buried by the system"


STRANGE_REPORTS = ["[]", "null", '{"ok": true}', "\x00", '{"stage": "nowhere"}', "[" * 100_000]


@pytest.mark.parametrize("text", STRANGE_REPORTS, ids=lambda text: text[:12])
def test_a_report_that_is_none_is_not_believed(text, tmp_path):
    from tinynet.lab.folder import _read

    (tmp_path / "report.json").write_text(text)
    assert _read(tmp_path / "report.json") is None


def test_reports_of_other_types_or_kinds_are_not_believed(tmp_path):
    from tinynet.lab.folder import _read

    file = tmp_path / "report.json"
    right = Report("relu", "a.py", "done", cases=9, passed=9).to_dict()
    for change in ({"stage": "nowhere"}, {"file": 3}, {"timings": 3}, {"trial": [1]}):
        file.write_text(json.dumps({**right, **change}))
        assert _read(file) is None, change
    file.unlink()
    assert _read(file) is None
    os.mkfifo(file)
    assert _read(file) is None


def test_the_table_says_which_mistakes_several_files_share():
    reports = [
        Report("relu", f"{name}.py", "grid", problem=f"case {k}: {text}", mistake=text)
        for k, (name, text) in enumerate([("a", "wrong"), ("b", "late"), ("c", "wrong")])
    ]
    assert class_table(reports).splitlines()[-2:] == [
        "Mistakes that several share:",
        "  2 files: wrong: a.py, c.py",
    ]


def test_a_report_survives_the_way_through_json():
    report = Report("relu", "a.py", "done", cases=9, passed=9)
    report.timings = [Timing("relu", "1,000 numbers", 1e-3, 1e-5, 2e-5)]
    report.trial = Trial("a plan", 0.97, 0.98, 1.5)
    assert from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_table_of_a_class_has_a_row_for_each():
    right = Report("relu", "a.py", "done", cases=9, passed=9, gradient="agrees")
    right.timings = [Timing("relu", "", 1.0, 0.5, 0.25)]
    right.trial = Trial("a plan", 0.97, 0.98, 1.5)
    wrong = Report("relu", "long_name.py", "grid", problem="case 3 of 9: wrong", cases=9, passed=2)
    assert class_table([right, wrong]).splitlines() == [
        "file          result  grid  gradient  vs loops  vs built-in  accuracy  built-in",
        "-------------------------------------------------------------------------------",
        "a.py          right    9/9     right      2.0x         0.5x    97.0 %    98.0 %",
        "long_name.py  WRONG    2/9         -         -            -         -         -",
        "",
        "1 of 2 are right.",
        "  long_name.py  case 3 of 9: wrong",
    ]


def test_a_folder_of_right_files_ends_with_0(here, capsys):
    Path("class").mkdir()
    Path("class/one.py").write_text((SOLUTIONS / "sgd.py").read_text())
    assert main(["lab", "sgd", "class", "--train-seconds", "0"]) == 0
    assert "1 of 1 are right." in capsys.readouterr().out


# ----- the command --------------------------------------------------------------------------------


def test_the_exercises_are_listed(capsys):
    assert main(["lab"]) == 0
    out = capsys.readouterr().out
    for name, exercise in EXERCISES.items():
        assert re.search(rf"^  {name} +{exercise.about}$", out, re.MULTILINE)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_has_a_starter_that_fails_because_it_is_not_written_yet(name, here, capsys):
    assert main(["lab", name, "--start"]) == 0
    assert f"tinynet lab {name} my_{name}.py" in capsys.readouterr().out
    text = Path(f"my_{name}.py").read_text()
    assert text == starter(find(name))
    assert max(map(len, text.splitlines())) <= 100
    assert main(["lab", name, f"my_{name}.py"]) == 1
    assert f"write {name}" in capsys.readouterr().out
    Path(f"my_{name}.py").write_text("precious")
    assert main(["lab", name, "--start"]) == 1
    assert "exists and is left as it is" in capsys.readouterr().err
    assert Path(f"my_{name}.py").read_text() == "precious"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_worked_example_of_a_starter_is_right(name, capsys):
    functions = find(name).functions
    text = starter(find(name))
    head, _, main_block = text.partition('if __name__ == "__main__":\n')
    namespace = {"__name__": "__main__"}
    exec((SOLUTIONS / f"{name}.py").read_text(encoding="utf-8"), namespace)
    assert all(f"def {function}(" in head for function in functions)
    exec("import numpy as np\nif True:\n" + main_block, namespace)
    shown = [line for line in capsys.readouterr().out.splitlines() if "expected: " in line]
    for line in shown:
        if "   expected: " in line:
            actual, expected = line.split("   expected: ")
            numbers = [
                re.findall(r"-?\d+\.?\d*", part.split("=")[-1]) for part in (actual, expected)
            ]
            assert [float(n) for n in numbers[0]] == pytest.approx(
                [float(n) for n in numbers[1]], abs=1e-4
            )


def test_a_single_file_is_judged_with_all_its_stages(here, capsys):
    Path("mine.py").write_text((SOLUTIONS / "relu.py").read_text())
    assert main(["lab", "relu", "mine.py", "--json", "report.json"]) == 0
    out = capsys.readouterr().out
    assert "grid      all 9 cases are right" in out
    assert "gradient  agrees with finite differences" in out
    assert re.search(r"relu_dx, 50,000 numbers +\S+ +\S+ +\S+ +[\d,.]+x", out)
    assert "training  a net with one convolution, 400 images, 2 epochs ..." in out
    assert out.endswith("All is right.\n")
    record = json.loads(Path("report.json").read_text())
    assert record["ok"]
    assert record["trial"]["ok"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["conv3d"], "unknown exercise 'conv3d'; did you mean 'conv2d'"),
        (["conv2d"], "tinynet lab conv2d --start"),
        (["conv2d", "missing.py"], "there is no missing.py; begin it with"),
        (["conv2d", "."], "there is no .py file in ."),
        (["conv2d", "mine.txt", "--start"], "to judge mine.txt, leave it out"),
    ],
)
def test_wrong_arguments_are_explained(arguments, words, here, capsys):
    assert main(["lab", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_limits_are_for_folders(here, capsys):
    Path("mine.py").write_text("")
    assert main(["lab", "relu", "mine.py", "--timeout", "3"]) == 2
    assert "--timeout is for a folder" in capsys.readouterr().err


def test_the_kernels_in_use_are_the_same_after_as_before(tmp_path):
    before = kernels.current.name, kernels.current.conv2d
    judged(tmp_path, "conv2d", with_change("y += (", "y -= ("))
    assert (kernels.current.name, kernels.current.conv2d) == before
