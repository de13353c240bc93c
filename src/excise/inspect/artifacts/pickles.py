"""What a pickle would import and call, by walking its opcodes with a machine that only knows names.

`pickletools.genops` splits the bytes; nothing is imported or called. The machine keeps a stack of small facts (a text,
a number, a global, the result of a call) so that names put together by opcodes are seen, and so that joblib's arrays,
which lie between the opcodes as raw bytes, can be stepped over. A pickle that breaks off has run up to there when it
is loaded, so what was seen counts.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from dataclasses import dataclass, field
from typing import Any, Final

from excise.inspect.artifacts.danger import danger

MOST_OPCODES = 3_000_000
"""Opcodes of one file; what comes after is said not to have been read."""
MOST_PICKLES = 1_000
LONGEST_TEXT = 400
MOST_STATE = 64
MOST_NESTED = 20
_ITEM: Final = re.compile(r"^[<>|=]?([biufcSUVmM?])(\d{0,6})")
_STEP_OVER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"


@dataclass(frozen=True, slots=True)
class Use:
    """A name that a pickle imports, where (byte), and whether it is called."""

    module: str
    name: str
    at: int
    called: bool = False

    @property
    def whole(self) -> str:
        """Module and name."""
        return f"{self.module}.{self.name}"


@dataclass(slots=True)
class Seen:
    """What was seen of one or more pickles in a row: uses, names that could not be known, and how it ended."""

    uses: dict[tuple[str, str], Use] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)
    opcodes: int = 0
    pickles: int = 0
    ended: str = ""
    end: int = 0

    def use(self, module: str, name: str, at: int, called: bool) -> None:
        """Remember a use; a call is worse than an import."""
        known = self.uses.get((module, name))
        if known is None or (called and not known.called):
            self.uses[module, name] = Use(module, name, at, called)

    def of(self, kind: str) -> list[Use]:
        """The uses of names of this kind of danger, calls first."""
        return sorted(
            (u for u in self.uses.values() if danger(u.module, u.name) == kind),
            key=lambda u: (not u.called, u.at),
        )


class _Mark:
    pass


@dataclass(frozen=True, slots=True)
class _Global:
    module: str
    name: str


@dataclass(frozen=True, slots=True)
class _Made:
    """The result of a call of `by` with `args`, if they are known."""

    by: Any
    args: Any = None


MARK: Final = _Mark()
UNKNOWN: Final = object()


def walk(data: bytes, start: int = 0) -> Seen:
    """Every pickle that begins at `start` or right after another one ended."""
    seen = Seen()
    file = io.BytesIO(data)
    file.seek(start)
    while seen.pickles < MOST_PICKLES and not seen.ended:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in texts of the file
            _one(file, data, seen)
        seen.end = file.tell()
        if not re.match(rb"\x80[\x00-\x05]", data[seen.end : seen.end + 2]):
            break
    return seen


def _one(file: io.BytesIO, data: bytes, seen: Seen, level: int = 0) -> None:
    """One pickle from where the file stands; an array of objects inside one is a pickle of its own."""
    machine = _Machine(seen, file, data, level)
    try:
        for opcode, arg, at in pickletools.genops(file):
            seen.opcodes += 1
            if seen.opcodes > MOST_OPCODES:
                seen.ended = f"more than {MOST_OPCODES:,} opcodes"
                return
            machine.step(opcode, arg, at or 0)
        seen.pickles += 1
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
        AttributeError,
        UnicodeError,
        EOFError,
    ):
        seen.ended = f"no pickle any more at byte {file.tell():,}"


class _Machine:
    """The stack and memo of one pickle."""

    def __init__(self, seen: Seen, file: io.BytesIO, data: bytes, level: int) -> None:
        self.level = level
        self.seen = seen
        self.file = file
        self.data = data
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: pickletools.OpcodeInfo, arg: Any, at: int) -> None:
        """Apply one opcode."""
        handler = _HANDLERS.get(opcode.name)
        if handler is not None:
            handler(self, arg, at)
        elif opcode.name in _TEXTS:
            self.push(arg if isinstance(arg, str) and len(arg) <= LONGEST_TEXT else UNKNOWN)
        elif opcode.name in _NUMBERS:
            self.push(arg if isinstance(arg, int) and abs(arg) < 1 << 62 else UNKNOWN)
        else:
            self.plain(opcode)

    def plain(self, opcode: pickletools.OpcodeInfo) -> None:
        """An opcode that only changes how much is on the stack."""
        before = opcode.stack_before
        if pickletools.markobject in before:
            self.to_mark()
            before = before[: before.index(pickletools.markobject)]
        for _ in before:
            self.pop()
        self.stack += [UNKNOWN] * len(opcode.stack_after)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop() if self.stack else UNKNOWN

    def top(self) -> Any:
        return self.stack[-1] if self.stack else UNKNOWN

    def to_mark(self) -> list[Any]:
        """The values above the last mark, which goes too."""
        taken: list[Any] = []
        while self.stack:
            value = self.stack.pop()
            if value is MARK:
                break
            taken.append(value)
        taken.reverse()
        return taken

    def name(self, module: Any, name: Any, at: int) -> None:
        """A global is pushed."""
        if isinstance(module, str) and isinstance(name, str):
            self.seen.use(module, name, at, called=False)
            self.push(_Global(module, name))
        else:
            self.seen.unknown.append(at)
            self.push(UNKNOWN)

    def call(self, function: Any, args: Any, at: int) -> None:
        """The result of a call is pushed."""
        if isinstance(function, _Global):
            self.seen.use(function.module, function.name, at, called=True)
        elif isinstance(function, _Made):
            self.seen.unknown.append(at)
        self.push(_Made(function, args))

    def memoise(self, place: int | None = None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.top()

    def built(self, at: int) -> None:
        """State is set; an array of joblib begins here, and its bytes are stepped over."""
        state, made = self.pop(), self.top()
        if isinstance(made, _Made) and isinstance(made.by, _Global):
            self.seen.use(made.by.module, made.by.name, at, called=True)
            if f"{made.by.module}.{made.by.name}" == _STEP_OVER and isinstance(state, dict):
                self.step_over(state)

    def step_over(self, state: dict[Any, Any]) -> None:
        """Go past an array's bytes, or through the pickle of an array of objects."""
        if _code(state.get("dtype")).lstrip("<>|=").startswith("O"):
            if self.level >= MOST_NESTED:
                raise ValueError
            _one(self.file, self.data, self.seen, self.level + 1)
            return
        here = self.file.tell()
        if isinstance(state.get("numpy_array_alignment_bytes"), int):
            here += 1 + self.data[here]
        size = _bytes_of(state.get("shape"), state.get("dtype"))
        if size is None or here + size > len(self.data):
            raise ValueError
        self.file.seek(here + size)


def _bytes_of(shape: Any, dtype: Any) -> int | None:
    """Bytes of an array; None where its type or shape is not known."""
    item = _ITEM.match(_code(dtype))
    if item is None or not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        return None
    count = 1
    for n in shape:
        count *= n
    return count * int(item[2] or 1) * (4 if item[1] == "U" else 1)


def _code(dtype: Any) -> str:
    """The text that a type of numpy was made of; empty where it is not known."""
    args = dtype.args if isinstance(dtype, _Made) else None
    return args[0] if isinstance(args, tuple) and args and isinstance(args[0], str) else ""


def _set_items(machine: _Machine, pairs: list[Any]) -> None:
    top = machine.top()
    if isinstance(top, dict) and len(top) < MOST_STATE:
        for key, value in zip(pairs[::2], pairs[1::2], strict=False):
            if isinstance(key, str):
                top[key] = value


def _global(machine: _Machine, arg: Any, at: int) -> None:
    module, _, name = str(arg).partition(" ")
    machine.name(module, name, at)


def _stack_global(machine: _Machine, _arg: Any, at: int) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name, at)


def _inst(machine: _Machine, arg: Any, at: int) -> None:
    args = tuple(machine.to_mark())
    _global(machine, arg, at)
    machine.call(machine.pop(), args, at)


def _obj(machine: _Machine, _arg: Any, at: int) -> None:
    taken = machine.to_mark()
    machine.call(taken[0] if taken else UNKNOWN, tuple(taken[1:]), at)


def _reduce(machine: _Machine, _arg: Any, at: int) -> None:
    args, function = machine.pop(), machine.pop()
    machine.call(function, args, at)


def _new_with_names(machine: _Machine, _arg: Any, at: int) -> None:
    machine.pop()
    _reduce(machine, _arg, at)


def _extension(machine: _Machine, _arg: Any, at: int) -> None:
    machine.seen.unknown.append(at)
    machine.push(UNKNOWN)


def _tuple(count: int | None) -> Any:
    def handle(machine: _Machine, _arg: Any, _at: int) -> None:
        taken = machine.to_mark() if count is None else [machine.pop() for _ in range(count)][::-1]
        machine.push(tuple(taken) if len(taken) <= MOST_STATE else UNKNOWN)

    return handle


def _dict(machine: _Machine, _arg: Any, _at: int) -> None:
    pairs = machine.to_mark()
    machine.push({})
    _set_items(machine, pairs)


def _set_item(machine: _Machine, _arg: Any, _at: int) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


_HANDLERS: Final[dict[str, Any]] = {
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_names,
    "BUILD": lambda m, _a, at: m.built(at),
    "EXT1": _extension,
    "EXT2": _extension,
    "EXT4": _extension,
    "MARK": lambda m, _a, _at: m.push(MARK),
    "POP_MARK": lambda m, _a, _at: m.to_mark() and None,
    "DUP": lambda m, _a, _at: m.push(m.top()),
    "MEMOIZE": lambda m, _a, _at: m.memoise(),
    "PUT": lambda m, a, _at: m.memoise(a),
    "BINPUT": lambda m, a, _at: m.memoise(a),
    "LONG_BINPUT": lambda m, a, _at: m.memoise(a),
    "GET": lambda m, a, _at: m.push(m.memo.get(a, UNKNOWN)),
    "BINGET": lambda m, a, _at: m.push(m.memo.get(a, UNKNOWN)),
    "LONG_BINGET": lambda m, a, _at: m.push(m.memo.get(a, UNKNOWN)),
    "EMPTY_TUPLE": lambda m, _a, _at: m.push(()),
    "TUPLE": _tuple(None),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "EMPTY_DICT": lambda m, _a, _at: m.push({}),
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": lambda m, _a, _at: _set_items(m, m.to_mark()),
}
_TEXTS: Final = frozenset(
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8".split()
)
_NUMBERS: Final = frozenset("INT BININT BININT1 BININT2 LONG LONG1".split())


def names(uses: list[Use]) -> str:
    """Some names in words."""
    said = [f"{u.whole[:80]} (byte {u.at:,})" for u in uses[:4]]
    return ", ".join(said) + (f" and {len(uses) - 4} more" if len(uses) > 4 else "")
