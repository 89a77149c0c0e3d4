# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code=call-arg
"""Starting a helper, and waiting for it, from inside compiled code.

Two Python threads that share a kernel meet at the interpreter's lock twice: a helper that is
started wants it while its caller is still on the way into the kernel, and a caller that has waited
wants it while the helper is on the way out. Who finds the lock taken sleeps, and to be woken costs
50 microseconds and more (Zen 3, a virtual machine). So the caller's kernel starts the helpers in
its first line, when the lock is free, and waits for them in its last, before it needs it again:

    @compiled
    def kernel(team, first, last, ...):
        begin(team)
        ...
        finish(team)

A helper's own call gets the empty team. `threads.run_compiled` makes teams: a row
for each helper is (start, done, free, started), addresses of two words of 32 bits, the value
that sets them, and a place for `begin` to note that it was there.
"""

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinynet.kernels.numba_kernels.compiled import inner

PATIENCE = 1 << 16  # looks at a helper that is not done, 1 to 3 ms; the interpreter then waits on
SETTLE = 64  # pauses after that, about 1 microsecond, in which the helper lets go of the lock
X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")

START, DONE, FREE, STARTED = range(4)
WORD = ir.IntType(32)


def _pointer(builder, address):
    return builder.inttoptr(address, WORD.as_pointer())


@intrinsic
def write_word(typing, address, value):
    """The 32 bits at an address = value; whatever was written before is seen with it."""

    def emit(context, builder, signature, args):
        value = builder.trunc(args[1], WORD)
        builder.store_atomic(value, _pointer(builder, args[0]), "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def read_word(typing, address):
    """The 32 bits at an address, signed."""

    def emit(context, builder, signature, args):
        value = builder.load_atomic(_pointer(builder, args[0]), "acquire", 4)
        return builder.sext(value, ir.IntType(64))

    return types.int64(types.int64), emit


@intrinsic
def pause(typing):
    """Tell the processor that this thread spins, so that its neighbour on the core gets more."""

    def emit(context, builder, signature, args):
        if X86:
            signature = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, signature, name), [])
        return context.get_dummy_value()

    return types.void(), emit


@inner
def begin(team):
    """Start the helpers."""
    for i in range(len(team)):
        team[i, STARTED] = 1
        write_word(team[i, START], team[i, FREE])


@inner
def finish(team):
    """Wait until the helpers are done."""
    for i in range(len(team)):
        looks = 0
        while read_word(team[i, DONE]) != team[i, FREE] and looks < PATIENCE:
            pause()
            looks += 1
    for _ in range(SETTLE if len(team) else 0):
        pause()
