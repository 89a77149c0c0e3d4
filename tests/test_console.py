"""Where people read: names of others are shown, never obeyed, and no console ends a command."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from tqdm import tqdm

import tinynet
from tinynet import data, models, nn
from tinynet.cli import main
from tinynet.console import Console, announced, is_terminal, say, shortened, visible, watched
from tinynet.errors import DataError
from tinynet.training import checkpoint, fit

NAMES = (
    "\x1b[2J\x1b]0;title\x07", "line\nend\r", "c1\x9b2J", "bidi\u202eexe", "zero\u200bwidth",
    "par\u2029", "größe", "日本\u3000語", "😀",
)  # fmt: skip
OBEYED = "\x1b\x07\x9b\r\u202e\u200b\u2029"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images of classes of such names, and a run on them."""
    monkeypatch.chdir(tmp_path)
    labels = np.arange(200) % len(NAMES)
    images = (np.ones((200, 1, 8, 8)) * 20 * labels[:, None, None, None]).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(200)  # none is there twice
    np.savez("tiny.npz", x=images, y=labels, classes=np.array(NAMES))
    assert main(["train", "--data", "npz:tiny.npz", "--epochs", "1", "--out", "run"]) == 0
    return tmp_path


def spoken(monkeypatch, encoding: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a command, and what it writes to a strict console of that encoding."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding, errors="strict", newline="")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        code = main(arguments)
    stream.flush()
    return code, written.getvalue().decode(encoding)


# ----- visible -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, äöü 日本\u3000語 😀 \xa0", "plain text, äöü 日本\u3000語 😀 \xa0"),
        ("\x00\x07\x1b[31m\x7f\x9b", r"\x00\x07\x1b[31m\x7f\x9b"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\u202e\u2066\u200b\u200d\ufeff\xad", r"\u202e\u2066\u200b\u200d\ufeff\xad"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "größe 日本"),
        ("cp1252", r"größe \u65e5\u672c"),
        ("ascii", r"gr\xf6\xdfe \u65e5\u672c"),
        ("utf-16", "größe 日本"),
        (None, "größe 日本"),
    ],
)
def test_letters_that_a_console_lacks_are_shown_as_escapes(encoding, shown):
    class Stream:
        pass

    stream = Stream()
    stream.encoding = encoding
    assert visible("größe 日本", stream) == shown


def test_a_console_keeps_lines_and_progress_bars_and_nothing_else():
    under = io.StringIO()
    console = Console(under)
    console.write("\rbar 1/2")
    console.write("\ra\rb\n\tc\x1b[A")
    assert under.getvalue() == "\rbar 1/2\ra\\rb\n\tc\\x1b[A"


# ----- commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_every_command_shows_names_of_others_on_every_console(here, monkeypatch, encoding):
    Path("sub\x1b\n.py").write_text("raise ValueError('\\x1b[2J\\u202e\\n')", encoding="utf-8")
    Path("op.py").write_text("raise ValueError('\\x1b[2J\\u202e')", encoding="utf-8")
    Path("folder").mkdir()
    Path("folder", "a\x1b[2J\n.py").write_text("import \x1b", encoding="utf-8")
    Path("bad\x1b[2J.safetensors").write_bytes(b"PK nonsense")
    bad = "no\x1b[2J\u202e\nsuch"
    commands = (
        (0, "train", "--data", "npz:tiny.npz", "--epochs", "1", "--out", "r\x1b\n\u202e"),
        (0, "resume", "r\x1b\n\u202e"),
        (0, "verify", "r\x1b\n\u202e"),
        (0, "evaluate", "run"),
        (1, "evaluate", "run", "--data", "digits"),  # the error lists the classes
        (0, "export", "run", "w\x1b\n.safetensors"),
        (1, "evaluate", "bad\x1b[2J.safetensors", "--data", "digits"),
        (1, "train", "--data", "npz:bad\x1b[2J.safetensors"),
        (2, "evaluate", bad),
        (2, "train", f"--{bad}"),
        (2, "train", "--epochs", bad),
        (2, "train", "--model", bad),
        (2, bad),
        (0, "data", "digits", "--data-dir", bad),
        (2, "gradcheck", "--file", "op.py"),
        (2, "gradcheck", "--file", "op.py", "--debug"),
        (2, "doctor", "--file", f"op.py:{bad}"),
        (1, "lab", "relu", "sub\x1b\n.py"),
        (1, "lab", "relu", "folder"),
        (0, "lab", "relu", "--start", "my\x1b\n.py"),
    )
    for expected, *arguments in commands:
        code, text = spoken(monkeypatch, encoding, *arguments)
        assert (code, [c for c in OBEYED if c in text]) == (expected, []), (arguments, text)
    table = spoken(monkeypatch, encoding, "evaluate", "run")[1].splitlines()
    assert len(table) == 2 + 2 + len(NAMES) + 2  # no name has ended a line
    assert len({len(line) for line in table[4:-2]}) == 1  # all in their columns


def test_predict_shows_names_of_others(here, monkeypatch):
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(np.zeros((8, 8), np.uint8)).save("a.png")
    os.rename("a.png", "a\x1b[2J\n.png")
    Path("broken\x1b\n.png").write_bytes(b"no")
    code, text = spoken(monkeypatch, "ascii", "predict", "run", "a\x1b[2J\n.png", "--top", "10")
    assert code == 0
    assert text.count("\n") == 2
    assert text.startswith("images: taken as they are\na\\x1b[2J\\n.png  ")
    code, text = spoken(monkeypatch, "ascii", "predict", "run", "broken\x1b\n.png")
    assert code == 1
    assert text.startswith("tinynet predict: error: broken\\x1b\n  .png: ")  # it begins no line


def test_predict_shows_numbers_for_the_classes_without_a_name(here, capsys):
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(np.zeros((8, 8), np.uint8)).save("a.png")
    tinynet.save(
        models.build("digits_cnn"), "w.safetensors", name="digits_cnn", classes=["a", "b"],
        mean=[0.5], std=[1], input_shape=(1, 8, 8),
    )  # fmt: skip
    assert main(["predict", "w.safetensors", "a.png", "--top", "10"]) == 0
    shown = capsys.readouterr().out.splitlines()[-1].split()
    assert {"a", "b", *"23456789"} <= set(shown)


@pytest.mark.parametrize(
    "error",
    [
        DataError("cannot download. Tried:\n  HTTP Error 404: \x1b[2J\x9b\u202e"),
        OSError(errno.EIO, "\x1b[2J\u202e", "name\x1b[2J"),
        RuntimeError("\x1b[2J\u202e"),
        KeyboardInterrupt("\x1b[2J\u202e"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_error_quotes_is_shown_and_begins_no_line(tmp_path, monkeypatch, capsys, error):
    def fail(*args):
        raise error

    monkeypatch.setattr("tinynet.data.download", fail)
    assert main(["data", "digits"]) in (1, 130)
    out, err = capsys.readouterr()
    assert out == ""
    assert r"\x1b[2J" in err
    assert [c for c in OBEYED if c in err] == []
    assert all(
        line.startswith(("  ", "tinynet data: ", "\\x1b[2J")) for line in err.split("\n") if line
    )


def test_warnings_and_tracebacks_go_through_the_console_too(here, monkeypatch, capsys):
    def warn(path):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("\x1b[2Jwarned\n", stacklevel=1)
        raise RuntimeError("\x1b[2Jraised")

    monkeypatch.setattr(checkpoint, "read", warn)
    with monkeypatch.context() as patch:
        patch.setattr(warnings, "showwarning", _plain_showwarning)
        assert main(["evaluate", "run", "--debug"]) == 1
    err = capsys.readouterr().err
    assert r"\x1b[2Jwarned" in err
    assert "Traceback" in err
    assert err.endswith("RuntimeError: \\x1b[2Jraised\n")
    assert "\x1b" not in err


def _plain_showwarning(message, category, filename, lineno, file=None, line=None):
    """As Python's own, which pytest replaces."""
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--out", ""],
        ["train", "--json", ""],
        ["train", "--data-dir", ""],
        ["resume", ""],
        ["verify", ""],
        ["verify", "run", "--from", ""],
        ["evaluate", ""],
        ["predict", "", "a.png"],
        ["export", "run", ""],
        ["lab", "relu", ""],
        ["lab", "relu", "--start", ""],
    ],
)
def test_an_empty_path_is_refused_and_is_not_the_current_folder(
    tmp_path, monkeypatch, capsys, arguments
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "an empty path; the current folder is ." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("word " * 20, ("word " * 16).strip() + "\n  word word word word"),
        ("  name" + " " * 30 + "word " * 15, None),
        ("x" * 200, "x" * 200),
        ("  tinynet resume " + "a b/" * 40, "  tinynet resume " + "a b/" * 40),
        (
            "tinynet train: error: " + "a " * 40,
            "tinynet train: error: " + "a " * 28 + "a\n  " + "a " * 10 + "a",
        ),
    ],
)
def test_a_line_fits_the_terminal_and_goes_on_further_in(monkeypatch, text, shown):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Console(stream).write(text)
    assert shown is None or stream.getvalue() == shown
    plain = io.StringIO()
    Console(plain).write(text)
    assert plain.getvalue() == text
    assert stream.getvalue().split() == text.split()
    if shown is None:
        first, second = stream.getvalue().split("\n")
        assert len(first) <= 80
        assert second.index("word") == 36


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tinynet lab: error: no", "\x1b[31mtinynet lab: error:\x1b[0m no"),
        ("tinynet: warning: no", "\x1b[33mtinynet: warning:\x1b[0m no"),
        ("a\ntest accuracy 9.50 %, b", "a\n\x1b[32mtest accuracy 9.50 %\x1b[0m, b"),
        ("  tinynet data x   what", "  \x1b[36mtinynet data x\x1b[0m   what"),
        ("of \x1b[31mothers", "of \\x1b[31mothers"),
    ],
)
@pytest.mark.parametrize("place", ["terminal", "NO_COLOR", "TERM", "file"])
def test_colours_are_for_terminals_that_take_them(monkeypatch, place, text, shown):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.setenv(name, "dumb" if place == name else "")
    stream = io.StringIO() if place == "file" else Terminal()
    Console(stream).write(text)
    assert stream.getvalue() == (shown if place == "terminal" else text.replace("\x1b", "\\x1b"))


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "report", "gradcheck", "lab"])
def test_help_fits_eighty_columns(monkeypatch, capsys, command):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_bar_and_the_watch_go_to_whom_is_watching(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert watched([1], "work") == [1]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(watched([1, 2], "work")) == [1, 2]
    assert terminal.getvalue() == ""  # it took no second


@pytest.mark.parametrize("width", [3, 5, 8, 12, 80])
def test_names_that_are_cut_stay_different(width):
    names = [*(f"{'long ' * 9}{k}" for k in range(60)), "a", "ab", "long", *map(str, range(20))]
    short = shortened(names, width)
    assert max(map(len, short)) <= width
    assert len(set(short)) == len(set(names))


# ----- streams that are missing, or fail ---------------------------------------------------------


class OnlyWrites:
    """As the shells of editors give it: no encoding, isatty, fileno or flush."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class Fails(OnlyWrites):
    """As on a full disk, or in front of a reader who has gone."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> None:
        raise OSError(self.number, os.strerror(self.number))


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def few() -> data.ArrayDataset:
    digits = data.load("digits", "train")
    return data.ArrayDataset(digits.images[:64], digits.labels[:64])


@pytest.mark.parametrize("make", [lambda: None, closed, OnlyWrites], ids=["none", "closed", "bare"])
@pytest.mark.parametrize("progress", [None, True])
def test_fit_trains_whatever_the_streams_are(monkeypatch, make, progress):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", make())
        patch.setattr(sys, "stderr", make())
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        history = fit(model, few(), 2, lr=0.05, progress=progress)
        said = getattr(sys.stdout, "text", "epoch 2/2")
    assert len(history) == 2
    assert "epoch 2/2" in said


@pytest.mark.parametrize("make", [lambda: None, closed, OnlyWrites], ids=["none", "closed", "bare"])
def test_every_command_works_whatever_the_streams_are(here, monkeypatch, make):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", make())
        patch.setattr(sys, "stderr", make())
        codes = [
            main(["train", "--data", "npz:tiny.npz", "--epochs", "1", "--out", "new"]),
            main(["evaluate", "run"]),
            main(["export", "run", "w.safetensors"]),
            main(["evaluate", "nowhere"]),
            main(["train", "--epochs", "x"]),
            main(["--help"]),
        ]
    assert codes == [0, 0, 0, 2, 2, 0]
    assert Path("new/last.safetensors").is_file()


def test_a_metric_whose_name_a_console_lacks_does_not_end_a_training(monkeypatch):
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        stream = io.TextIOWrapper(written, "ascii", errors="strict", write_through=True)
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        metrics = {"größe": lambda output, target: 1.0}
        fit(model, few(), 1, lr=0.05, progress=True, metrics=metrics)
    assert b"gr\\xf6\\xdfe" in written.getvalue()


def test_a_bar_below_another_moves_to_its_line(monkeypatch):
    stream = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        for _ in tqdm(range(1)):
            fit(model, few(), 1, lr=0.05, progress=True)
    assert "\x1b[A" in stream.getvalue()
    assert "\\x1b" not in stream.getvalue()


@pytest.mark.parametrize("fault", [errno.EBADF, errno.EPIPE, errno.ENOSPC])
def test_a_bar_that_cannot_be_shown_does_not_end_a_training(monkeypatch, fault):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Fails(fault))
        assert len(fit(model, few(), 2, lr=0.05, progress=True)) == 2


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["train", "--data", "npz:tiny.npz", "--epochs", "1", "--out", "new"], 0),
        (["export", "run", "w.safetensors"], 0),
        (["evaluate", "run"], 1),
        (["evaluate", "--help"], 1),
        (["--version"], 1),
        ([], 1),
        (["gradcheck", "--shape", "1x4x4", "--json"], 1),
        (["evaluate", "nowhere"], 2),
    ],
)
def test_output_that_cannot_be_written_is_told_and_costs_no_training(
    here, monkeypatch, capsys, command, code
):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Fails(errno.ENOSPC))
        assert main(command) == code
    err = capsys.readouterr().err
    full = "tinynet: standard output cannot be written: [Errno 28] No space left on device\n"
    assert full in err or code == 2
    if "train" in command:
        assert Path("new/last.safetensors").is_file()


@pytest.mark.parametrize("command", [["evaluate", "run"], ["summary", "lenet5"], ["lab"]])
def test_a_reader_who_has_stopped_ends_a_command_without_a_word(here, monkeypatch, capsys, command):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Fails(errno.EPIPE))
        assert main(command) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize("both", ["", "2>&1"])
def test_a_reader_who_has_stopped_stops_no_training(here, both):
    code = "import sys; from tinynet.cli import main; sys.exit(main(sys.argv[1:]))"
    command = f'"$0" -c "$1" train --data npz:tiny.npz --epochs 2 --out new {both} | true; '
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        ["bash", "-c", command + 'echo "${PIPESTATUS[0]}"', sys.executable, code],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == "0\n"
    assert both or "output cannot be written: [Errno 32] Broken pipe" in done.stderr
    assert "test_accuracy" in Path("new/run.json").read_text()


@pytest.mark.parametrize(
    ("stream", "warns"),
    [(Fails(errno.EPIPE), 0), (Fails(errno.ENOSPC), 1), (closed(), 0), (None, 0)],
)
def test_no_output_that_fails_ends_a_fit(monkeypatch, stream, warns):
    model, x, y = nn.Linear(2, 2), np.eye(4, 2, dtype=np.float32), np.arange(4) % 2
    monkeypatch.setattr(sys, "stdout", stream)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(fit(model, x, y, epochs=2)) == 2
    assert len({str(w.message) for w in told}) == warns
    assert all("what is printed is lost" in str(w.message) for w in told)


class FailsOnce(io.StringIO):
    """A stream of the user's, over a file that is theirs too."""

    def __init__(self, file):
        super().__init__()
        self.file, self.failed = file, False

    def write(self, text):
        self.failed, failed = True, self.failed
        if not failed:
            raise ValueError("a fault in write")
        return self.file.write(text)

    def fileno(self):
        return self.file.fileno()


@pytest.mark.parametrize("told", ["ignore", "error"])
def test_outside_of_a_command_the_lines_of_fit_alone_are_lost(monkeypatch, tmp_path, told):
    model, x, y = nn.Linear(2, 2), np.eye(4, 2, dtype=np.float32), np.arange(4) % 2
    with (tmp_path / "log").open("w") as file:
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter(told)
            patch.setattr(sys, "stdout", FailsOnce(file))
            assert len(fit(model, x, y, epochs=2)) == 2
        file.write("a line of one's own\n")
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.startswith("epoch 2/2")
    assert second == "a line of one's own"


def test_is_terminal_never_raises():
    assert not any(map(is_terminal, (None, closed(), OnlyWrites(), io.StringIO())))


def test_say_prints_each_line_as_one(capsys):
    say("a\nb", "", "c")
    say("d", error=True)
    assert capsys.readouterr() == ("a\\nb\n\nc\n", "d\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_no_file_takes_the_place_of_an_output_that_is_closed(tmp_path):
    """Else what a library writes to standard error would go into a checkpoint."""
    code = (
        "import os, sys\n"
        "from tinynet.console import console\n"
        "with console():\n"
        "    found = os.open(os.devnull, os.O_RDONLY)\n"
        "    open('found', 'w').write(f'{found > 2} {[os.get_inheritable(i) for i in range(3)]}')\n"
    )
    for redirect in (">&-", "2>&-", "<&- >&- 2>&-"):
        command = ["sh", "-c", f'"$0" -c "$1" {redirect}', sys.executable, code]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=60)
        assert (tmp_path / "found").read_text() == "True [True, True, True]"


# ----- progress bars -----------------------------------------------------------------------------


def test_a_bar_gives_way_to_lines_and_is_erased_where_the_window_became_smaller(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("tinynet.console.columns", lambda stream=None: 80)
    under = Terminal()
    lines = Console(under)
    bar = Console(lines, keep="\n\t\r\x1b")
    bar.write("\r" + 79 * "x" + "   ")
    monkeypatch.setattr("tinynet.console.columns", lambda stream=None: 40)
    bar.write("\r" + 39 * "y")
    lines.write("a note\n")
    lines.write("another\n")
    redrawn = "\x1b[A\r\x1b[J" + 39 * "y"  # the old one stands in two lines by now
    assert under.getvalue() == "\r\x1b[J" + 79 * "x" + redrawn + "\r\x1b[Ja note\nanother\n"


def test_what_takes_more_than_a_second_is_said(capsys, monkeypatch):
    waits = []

    class Timer:
        def __init__(self, seconds, function, args, kwargs):
            waits.append(seconds)
            self.start, self.cancel = lambda: function(*args, **kwargs), lambda: None

    monkeypatch.setattr("threading.Timer", Timer)
    for seen in (False, True):
        monkeypatch.setattr("tinynet.console.is_watched", lambda seen=seen: seen)
        with announced("looking"):
            assert capsys.readouterr().err == "looking ...\n" * seen
    assert waits == [1, 1]
