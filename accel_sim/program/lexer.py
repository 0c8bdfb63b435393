"""Values of the program text: tokens, and the recursive descent from tokens to Python values and dataclasses."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING
from enum import Enum
from typing import Any, NamedTuple

from accel_sim.errors import AccelSimError, Fault
from accel_sim.program.operands import Operand, Region
from accel_sim.program.registry import fits, program_types, type_name, typed_fields

_TOKENS = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)|(?P<text>"(?:[^"\\\n]|\\.)*")"""
    r"""|(?P<number>-?(?:(?:inf|nan)\b|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))|(?P<name>[A-Za-z_]\w*(?:\.\w+)?)|(?P<mark>[(),=%+\[\]])"""
)
_MOST_ITEMS = 1 << 24  # of a tuple written with `value x count`
_DEEPEST = 40  # nested values; a program needs four
_DTYPES = frozenset({"int8", "uint8", "int16", "uint16", "int32", "int64"})


class ParseFault(Exception):  # noqa: N818 carries a Fault; the parser collects them into one ProgramError
    """One fault of one statement."""

    def __init__(self, line: int, value: str, rule: str) -> None:
        self.fault = Fault(f"line {line}", value, rule)
        super().__init__(str(self.fault))


class Token(NamedTuple):
    """A token and its line, counted from 1."""

    kind: str
    text: str
    line: int


def tokens(source: str, line: int) -> Iterator[Token]:
    """The tokens of a statement that begins on `line`, closed by one of kind "end"."""
    position = 0
    while position < len(source):
        match = _TOKENS.match(source, position)
        if match is None:
            raise ParseFault(line, repr(source[position : position + 20]), "is no value, name or sign of a program")
        if match.lastgroup == "newline":
            line += 1
        elif match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), line)
        position = match.end()
    yield Token("end", "the end of the statement", line)


class ValueParser:
    """Reads values from one statement."""

    def __init__(self, source: str, line: int) -> None:
        self._tokens = list(tokens(source, line))
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _refuse(self, rule: str, token: Token | None = None) -> ParseFault:
        token = token or self._next
        return ParseFault(token.line, token.text, rule)

    def take(self, kind: str, text: str | None = None) -> str:
        """The next token, which must be of that kind (and that text)."""
        token = self._next
        if token.kind != kind or text not in (None, token.text):
            raise self._refuse(f"here stands {text or 'a ' + kind}")
        self._at += 1
        return token.text

    def _accept(self, text: str) -> bool:
        if self._next.kind == "mark" and self._next.text == text:
            self._at += 1
            return True
        return False

    def finish(self) -> None:
        """Refuses anything that is left."""
        if self._next.kind != "end":
            raise self._refuse("the statement ends here")

    def value(self) -> Any:
        """One value."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._refuse(f"values nest at most {_DEEPEST} deep")
        token = self._next
        found: Any
        if token.kind == "number":
            found = self._number()
        elif token.kind == "text":
            found = self._text()
        elif token.kind == "name":
            found = self._named()
        elif self._accept("("):
            found = self._tuple()
        elif self._accept("%"):
            found = self._operand(token)
        else:
            raise self._refuse("here stands a value")
        self._depth -= 1
        return found

    def _number(self) -> int | float:
        token = self._next
        self._at += 1
        try:
            return int(token.text) if re.fullmatch(r"-?\d+", token.text) else float(token.text)
        except ValueError:  # more digits than Python reads
            raise self._refuse("is a number of reasonable length", token) from None

    def _integer(self) -> int:
        token = self._next
        number = self._number() if token.kind == "number" else None
        if not isinstance(number, int):
            raise self._refuse("here stands a whole number", token)
        return number

    def _text(self) -> str:
        token = self._next
        self._at += 1
        try:
            return str(json.loads(token.text))
        except ValueError:
            raise self._refuse("is a text as JSON writes it", token) from None

    def _tuple(self) -> tuple[Any, ...]:
        items: list[Any] = []
        while not self._accept(")"):
            item, count = self.value(), 1
            if self._next == ("name", "x", self._next.line):
                self._at += 1
                count = self._integer()
            if not 0 <= count <= _MOST_ITEMS - len(items):
                raise self._refuse(f"a tuple has at most {_MOST_ITEMS} items")
            items += [item] * count
            if not self._accept(","):
                self.take("mark", ")")
                break
        return tuple(items)

    def _operand(self, start: Token) -> Any:
        name, region = self._text() if self._next.kind == "text" else self.take("text"), self.take("name")
        if region not in {r.value for r in Region}:
            raise self._refuse("a region is activations or constants", self._tokens[self._at - 1])
        self.take("mark", "+")
        address, dtype = self._integer(), self.take("name")
        if dtype not in _DTYPES:
            raise self._refuse(f"an element type is one of {', '.join(sorted(_DTYPES))}", self._tokens[self._at - 1])
        self.take("mark", "[")
        shape = []
        while not self._accept("]"):
            shape.append(self._integer())
            if not self._accept(","):
                self.take("mark", "]")
                break
        return self._construct(Operand, (name, Region(region), address, tuple(shape), dtype), start)

    def _named(self) -> Any:
        token = self._next
        self._at += 1
        constants = {"True": True, "False": False, "None": None}
        if token.text in constants:
            return constants[token.text]
        name, _, member = token.text.partition(".")
        kind = program_types().get(name)
        if kind is None:
            raise self._refuse("is no command, recipe or enumeration", token)
        if issubclass(kind, Enum):
            if member not in kind.__members__:
                raise self._refuse(f"is one of {', '.join(kind.__members__)}", token)
            return kind[member]
        if member:
            raise self._refuse(f"{name} is no enumeration", token)
        return self._construct(kind, self._fields(kind, token), token)

    def _fields(self, kind: type, token: Token) -> tuple[Any, ...]:
        self.take("mark", "(")
        given: dict[str, Any] = {}
        schema = {f.name: (f, hint) for f, hint in typed_fields(kind)}
        while not self._accept(")"):
            key = self._next
            name = self.take("name")
            if name not in schema or name in given:
                raise self._refuse(f"{kind.__name__} has, once each, {', '.join(schema)}", key)
            self.take("mark", "=")
            start = self._next
            given[name] = self.value()
            if not fits(given[name], schema[name][1]):
                raise self._refuse(f"{kind.__name__}.{name} is {type_name(schema[name][1])}", start)
            if not self._accept(","):
                self.take("mark", ")")
                break
        missing = [n for n, (f, _) in schema.items() if n not in given and f.default is MISSING]
        if missing:
            raise self._refuse(f"{kind.__name__} also needs {', '.join(missing)}", token)
        return tuple(given.get(n, f.default) for n, (f, _) in schema.items())

    def _construct(self, kind: type, values: tuple[Any, ...], token: Token) -> Any:
        try:
            return kind(*values)
        except AccelSimError as error:
            raise self._refuse("; ".join(map(str, error.faults)), token) from None
        except TypeError as error:  # an abstract root such as Requantization
            raise self._refuse(str(error), token) from None
