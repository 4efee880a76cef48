"""Pickles as plain data: an interpreter of opcodes that imports nothing and gives nothing state.

Python's unpickler calls what a file names, and sets the state of what was returned: of arrays and
types of numbers too, which frees or changes memory in use. Here a name is looked up in a table, a
call is one of our functions on plain data, and a state is read by our own classes alone.
"""

import math
import pickletools
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from jaxgan.errors import InputError
from jaxgan.system.lazy_reads import Span, Stream

Allowed = Mapping[tuple[str, str], Any]  # By module and name: a function of ours, or a type.

OPCODES = 200_000  # Of a file with all pickles in it.
STACK = 100_000  # Objects that wait, at most.
AMOUNT = 2_000_000  # Entries of dicts and sets that calls put together, at most.
KEYS = (str, bytes, int, float, bool, type(None))
DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
VALUES += ("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
VALUES += ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")


class Tree(dict):
    """A dict from a file, whatever class of dicts it was there; its attributes are left out."""

    __slots__ = ()

    def build(self, state: Any) -> "Tree":
        return self


class Dtype:
    """A type of numbers as a file gives it; numpy's own is never given a state."""

    __slots__ = ("kind",)

    def __init__(self, kind: Any, *how: Any):
        if type(kind) is not str or not DTYPE.fullmatch(kind):
            raise ValueError("numbers of another type than numpy's plain ones")
        self.kind = np.dtype(kind)

    def build(self, state: Any) -> "Dtype":
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a type of numbers with another state")
        changed = Dtype(self.kind.str)
        if state[1] in "<>":
            changed.kind = self.kind.newbyteorder(state[1])
        return changed


class Draft:
    """A numpy array before its state, which holds its shape, type and bytes."""

    __slots__ = ()

    def __init__(self, *how: Any):
        pass

    def build(self, state: Any) -> np.ndarray:
        _, shape, dtype, fortran, data = state
        data = data.encode("latin1") if type(data) is str else data
        data = data.read() if type(data) is Span else data
        if type(dtype) is not Dtype or type(data) is not bytes or type(fortran) is not bool:
            raise ValueError("an array of other things than numbers")
        if len(data) != math.prod(numbers(shape)) * dtype.kind.itemsize:
            raise ValueError("an array of another size than its bytes")
        array = np.frombuffer(data, dtype.kind)
        return array.reshape(shape, order="F" if fortran else "C")


class Named:
    """What stands for a name of a file: a function of ours, which only calls reach."""

    __slots__ = ("function",)

    def __init__(self, function: Callable):
        self.function = function


class Budget:
    """What is left of the limits of a file, with all files in it."""

    def __init__(self, size: int):
        self.opcodes, self.amount, self.bytes, self.depth = OPCODES, AMOUNT, 2 * size + 2**16, 0

    def spend(self, what: str, amount: int) -> None:
        left = getattr(self, what) - amount
        if left < 0:
            raise ValueError(f"it has too many {what}")
        setattr(self, what, left)


def numbers(values: Any) -> tuple[int, ...]:
    """Return a shape: whole numbers that are not negative, of which an array has 32 at most."""
    if type(values) not in (tuple, list) or len(values) > 32:
        raise ValueError("a shape is not a tuple of numbers")
    if any(type(n) is not int or not 0 <= n < 2**48 for n in values):
        raise ValueError("a shape or its strides are not whole numbers from 0")
    return tuple(values)


def key(value: Any) -> Any:
    """Return a key of a dict: one that is compared in no time."""
    if type(value) not in KEYS or (type(value) is int and abs(value) >= 2**63):
        raise ValueError("a key that is neither text nor a number")
    return value


def tree(items: Any = ()) -> Tree:
    if isinstance(items, dict):
        return Tree(items)
    return Tree((key(name), value) for name, value in items)


def members(items: Any = ()) -> set:
    return {key(item) for item in items}


def printable(text: Any) -> str:
    """Return what can be shown in one line, cut off."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:200])


def read(
    stream: Stream,
    name: str,
    allowed: Allowed,
    persistent: Callable[[Any], Any] | None,
    budget: Budget,
) -> Any:
    """Return the plain data of the pickle that begins here; the stream is left behind its end.

    Args:
        stream: of a file.
        name: what errors call it.
        allowed: what it may name.
        persistent: what an object outside it stands for.
        budget: what is left of the limits; this spends it.

    Raises:
        InputError: it names anything else, which is not run.
        ValueError, TypeError, IndexError, KeyError: it is damaged, or beyond the limits.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    opcodes: Iterator[tuple[Any, Any, Any]] = pickletools.genops(stream)  # type: ignore[arg-type]
    for count, (opcode, value, _) in enumerate(opcodes):
        if budget.opcodes <= 0 or len(stack) > STACK or len(marks) > STACK:
            raise ValueError("it has too many opcodes or objects that wait")
        budget.opcodes -= 1
        code = opcode.name
        if marks and marks[-1] > len(stack):
            raise ValueError("what is before a mark is taken")
        if code in VALUES:
            stack.append(value)
        elif code in CONSTANTS:
            stack.append(CONSTANTS[code])
        elif code in ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"):
            place = len(memo) if code == "MEMOIZE" else value
            if place > count:
                raise ValueError(f"an object of the number {place:,}")
            memo[place] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[value])
        elif code == "MARK":
            marks.append(len(stack))
        elif code == "EMPTY_TUPLE":
            stack.append(())
        elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(code[-1])
            stack[-size:] = [tuple(_last(stack, size))]
        elif code == "TUPLE":
            stack.append(tuple(_since_mark(stack, marks)))
        elif code in ("EMPTY_LIST", "LIST"):
            stack.append(_since_mark(stack, marks) if code == "LIST" else [])
        elif code in ("EMPTY_DICT", "DICT"):
            values, made = _since_mark(stack, marks) if code == "DICT" else [], {}
            _fill(made, values)
            stack.append(made)
        elif code in ("EMPTY_SET", "FROZENSET"):
            stack.append(members(_since_mark(stack, marks)) if code == "FROZENSET" else set())
        elif code == "APPEND":
            item = stack.pop()
            _extend(stack[-1], [item])
        elif code == "APPENDS":
            values = _since_mark(stack, marks)
            _extend(stack[-1], values)
        elif code == "SETITEM":
            values = _last(stack, 2)
            del stack[-2:]
            _fill(stack[-1], values)
        elif code == "SETITEMS":
            values = _since_mark(stack, marks)
            _fill(stack[-1], values)
        elif code == "ADDITEMS":
            values = _since_mark(stack, marks)
            if type(stack[-1]) is not set:
                raise ValueError("items of what is no set")
            stack[-1].update(members(values))
        elif code == "GLOBAL":
            stack.append(_find(*value.split(" ", 1), name=name, allowed=allowed))
        elif code == "STACK_GLOBAL":
            stack[-2:] = [_find(*_last(stack, 2), name=name, allowed=allowed)]
        elif code == "INST":
            _find(*value.split(" ", 1), name=name, allowed=allowed)
            raise ValueError("an object of an old class")
        elif code == "REDUCE":
            stack[-2:] = [_call(*_last(stack, 2), budget=budget)]
        elif code == "NEWOBJ":
            function, arguments = _last(stack, 2)
            if type(function) is not Named or function.function is not tree:
                raise ValueError("a new object of what is no class of dicts")
            stack[-2:] = [_call(function, arguments, budget)]
        elif code == "BUILD":
            thing, state = _last(stack, 2)
            if type(thing) not in (Tree, Dtype, Draft):
                raise ValueError("it changes a function or an object")
            made = thing.build(state)
            stack[-2:] = [made]
            if made is not thing:
                memo.update(dict.fromkeys(_places(memo, thing), made))
        elif code in ("PERSID", "BINPERSID"):
            pid = value if code == "PERSID" else stack.pop()
            if persistent is None:
                raise ValueError("an object outside it")
            stack.append(persistent(pid))
        elif code == "POP":
            if marks and marks[-1] == len(stack):
                marks.pop()
            else:
                stack.pop()
        elif code == "POP_MARK":
            _since_mark(stack, marks)
        elif code == "DUP":
            stack.append(stack[-1])
        elif code == "STOP":
            return stack.pop()
        elif code == "FRAME":
            if value > stream.left():
                raise ValueError("a frame is cut off")
        elif code != "PROTO":
            raise ValueError(f"an opcode {code}, which no such file needs")
    raise ValueError("it does not end")


def _find(module: Any, what: Any, name: str, allowed: Allowed) -> Any:
    """Return what stands for a name: a type of numbers, or a function of ours that calls alone
    reach.
    """
    found = None
    if type(module) is str and type(what) is str:
        found = allowed.get((module, what))
    if found is None:
        raise InputError(
            f"a file of weights may name tensors only, which needs no {_text(module)}."
            f"{_text(what)}, and {name} names it: nothing of it was run"
        )
    return found if isinstance(found, np.dtype) else Named(found)


def _since_mark(stack: list, marks: list[int]) -> list:
    start = marks.pop()
    if start > len(stack):
        raise ValueError("a mark is missing")
    values = stack[start:]
    del stack[start:]
    return values


def _fill(target: Any, values: list) -> None:
    if not isinstance(target, dict) or len(values) % 2:
        raise ValueError("items of what is no dict")
    for i in range(0, len(values), 2):
        target[key(values[i])] = values[i + 1]


def _extend(target: Any, values: list) -> None:
    if type(target) is not list:
        raise ValueError("items of what is no list")
    target.extend(values)


def _call(function: Any, arguments: Any, budget: Budget) -> Any:
    if type(function) is not Named or type(arguments) is not tuple or len(arguments) > 16:
        raise ValueError("a call of what is no function")
    sizes = (len(x) for x in arguments if type(x) in (tuple, list, dict, Tree, set))
    budget.spend("amount", sum(sizes))
    budget.spend("bytes", sum(len(x) for x in arguments if type(x) in (bytes, str, Span)))
    return function.function(*arguments)


def _places(memo: dict[int, Any], thing: Any) -> list[int]:
    """Return where what has just got its state was remembered: among the newest, as its state is
    small.
    """
    return [place for place in islice(reversed(memo), 64) if memo[place] is thing]


def _last(stack: list, size: int) -> list:
    if len(stack) < size:
        raise ValueError("it takes more than there is")
    return stack[-size:]


def _text(name: Any) -> str:
    return printable(name) if type(name) is str else type(name).__name__
