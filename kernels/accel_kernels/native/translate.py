"""The language of steps: functions of int64 in Python's syntax, translated to LLVM's intermediate form.

- Numbers are int64 and wrap. `//` and `%` floor, as Python's do; no divisor is 0. Comparisons, `and`, `or` and `not`
  are 1 or 0. `and`, `or` and conditional expressions evaluate what Python would; chained comparisons all operands.
- Statements: assignments to names, one or several at once; `if`, `while`, `for` over a `range` (a step that is not
  constant is positive), `break`, `continue`, `return`; calls.
- Calls: `min` and `max`; `np.int64`, which changes nothing; parts and instructions (`parts`, `emit`), which can be
  arguments of parts; kernels (`_jit`) of numbers that are themselves in the language.
- A name is a variable if the function assigns it. All others are known: expressions of known names alone are evaluated
  by Python, and where a condition is one, only what runs is translated.

numba compiles far more of Python, and takes ten times as long for functions like these.
"""

import ast
import builtins
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import ir

from accel_kernels.native.emit import I64, Instruction, Value
from accel_kernels.native.expressions import Expressions
from accel_kernels.native.parts import Part

_Fixed = tuple[tuple[str, Any], ...]
"""Parameters that are parts or instructions, and which they are."""


def translated(function: Callable[..., None], symbol: str, triple: str = "") -> Any:
    """A module for a machine, with a function of int64 that gives nothing, under a name, and all that it calls."""
    module = ir.Module(symbol)
    module.triple = triple
    _Module(module).translate(function, (), symbol)
    return module


class _Module:
    """The functions of a module."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._made: dict[tuple[Callable[..., Any], _Fixed], Any] = {}

    def translate(self, function: Callable[..., Any], fixed: _Fixed, name: str) -> Any:
        """Add a function."""
        tree = _definition(function)
        parameters = [name for name in _parameters(function) if name not in dict(fixed)]
        made = ir.Function(self._module, ir.FunctionType(_result(tree), [I64] * len(parameters)), name)
        made.attributes.add("nounwind")
        self._made[function, fixed] = made
        _Statements(self, made, _known_names(function, fixed), tree).write(parameters)
        return made

    def call(self, builder: Any, part: Part, arguments: Sequence[Any]) -> Value:
        """Write a call of a part, which is translated once for all calls with the same parts and instructions."""
        function = part.function
        named = list(zip(_parameters(function), arguments, strict=True))
        fixed = tuple((name, value) for name, value in named if isinstance(value, (Part, Instruction)))
        if (function, fixed) not in self._made:
            self.translate(function, fixed, self._module.get_unique_name(function.__name__)).linkage = "internal"
        return builder.call(self._made[function, fixed], [value for name, value in named if name not in dict(fixed)])


def _parameters(function: Callable[..., Any]) -> Sequence[str]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount]


def _known_names(function: Callable[..., Any], fixed: _Fixed) -> dict[str, Any]:
    code, cells = function.__code__, function.__closure__ or ()
    free = zip(code.co_freevars, (cell.cell_contents for cell in cells), strict=True)
    return {**vars(builtins), **function.__globals__, **dict(free), **dict(fixed)}


def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    return _definitions(function.__code__.co_filename)[function.__code__.co_firstlineno]


@cache
def _definitions(file: str) -> dict[int, ast.FunctionDef]:
    """The functions of a source file by their first lines."""
    functions = (n for n in ast.walk(ast.parse(Path(file).read_text("utf-8"))) if isinstance(n, ast.FunctionDef))
    return {min([f.lineno, *(decorator.lineno for decorator in f.decorator_list)]): f for f in functions}


def _result(tree: ast.FunctionDef) -> Any:
    """What the function gives: nothing, an int64, or several."""
    values = [n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and n.value is not None]
    if not values:
        return ir.VoidType()
    return ir.LiteralStructType([I64] * len(values[0].elts)) if isinstance(values[0], ast.Tuple) else I64


class _Statements:
    """Writes one function. Variables have places in memory, which LLVM turns into registers."""

    def __init__(self, module: _Module, function: Any, known: Mapping[str, Any], tree: ast.FunctionDef) -> None:
        self._function, self._tree = function, tree
        self._b = ir.IRBuilder(function.append_basic_block("entry"))
        self._variables: dict[str, Any] = {}
        self._loops: list[tuple[Any, Any]] = []
        self._e = Expressions(
            self._b, self._variables, known, lambda part, arguments: module.call(self._b, part, arguments)
        )

    def write(self, parameters: Sequence[str]) -> None:
        """All of it."""
        stored = (n.id for n in ast.walk(self._tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        self._variables.update((name, self._place(name)) for name in dict.fromkeys((*parameters, *stored)))
        for name, argument in zip(parameters, self._function.args, strict=True):
            self._set(name, argument)
        self._go_on(self._b.append_basic_block("start"))
        self._write(self._tree.body)
        if self._b.block.is_terminated:
            return
        if self._gives(ir.VoidType()):
            self._b.ret_void()
        else:
            self._b.unreachable()

    def _gives(self, kind: Any) -> bool:
        return bool(self._function.ftype.return_type == kind)

    def _place(self, name: str) -> Any:
        with self._b.goto_entry_block():
            return self._b.alloca(I64, name=name)

    def _set(self, name: str, value: Value) -> None:
        self._b.store(value, self._variables[name])

    def _leave(self, block: Any) -> None:
        """To a block, unless what was written last has left already."""
        if not self._b.block.is_terminated:
            self._b.branch(block)

    def _go_on(self, block: Any) -> None:
        """As `_leave`; what follows is written there."""
        self._leave(block)
        self._b.position_at_end(block)

    def _write(self, nodes: Sequence[ast.stmt]) -> None:
        for node in nodes:
            if self._b.block.is_terminated:
                return
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():  # a docstring
                pass
            case ast.Expr(value=ast.Call() as call):
                self._e.call(call)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._set(name, self._e.value(value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                self._set(name, self._e.value(value))
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                self._assign_several(node, targets, value)
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                before = self._b.load(self._variables[name])
                self._set(name, self._e.binary(node, operator, before, self._e.value(value)))
            case ast.Return(value=value):
                self._return(value)
            case ast.If():
                self._if(node)
            case ast.While(orelse=[]):
                self._while(node)
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=called, args=limits), orelse=[]):
                if self._e.known(called) is not range:
                    raise self._e.fault(node)
                self._for(name, limits, node.body)
            case ast.Break() | ast.Continue():
                self._b.branch(self._loops[-1][isinstance(node, ast.Continue)])
            case _:
                raise self._e.fault(node)

    def _assign_several(self, node: ast.stmt, targets: Sequence[ast.expr], value: ast.expr) -> None:
        for target, each in zip(targets, self._e.values(value, len(targets)), strict=True):
            if not isinstance(target, ast.Name):
                raise self._e.fault(node)
            self._set(target.id, each)

    def _return(self, value: ast.expr | None) -> None:
        if value is None:
            self._b.ret_void()
        elif self._gives(I64):
            self._b.ret(self._e.value(value))
        else:
            result = ir.Constant(kind := self._function.ftype.return_type, ir.Undefined)
            for index, each in enumerate(self._e.values(value, len(kind.elements))):
                result = self._b.insert_value(result, each, index)
            self._b.ret(result)

    def _if(self, node: ast.If) -> None:
        if self._e.is_known(node.test):
            self._write(node.body if self._e.known(node.test) else node.orelse)
            return
        then, otherwise, after = (self._b.append_basic_block(f"if.{name}") for name in ("then", "else", "after"))
        self._e.branch(node.test, then, otherwise)
        for block, body in ((then, node.body), (otherwise, node.orelse)):
            self._b.position_at_end(block)
            self._write(body)
            self._leave(after)
        self._b.position_at_end(after)

    def _while(self, node: ast.While) -> None:
        head, body, after = (self._b.append_basic_block(f"while.{name}") for name in ("head", "body", "after"))
        self._go_on(head)
        self._e.branch(node.test, body, after)
        self._loop_body(node.body, body, after, head)
        self._leave(head)
        self._b.position_at_end(after)

    def _loop_body(self, nodes: Sequence[ast.stmt], body: Any, after: Any, following: Any) -> None:
        self._b.position_at_end(body)
        self._loops.append((after, following))
        self._write(nodes)
        self._loops.pop()

    def _for(self, name: str, limits: Sequence[ast.expr], nodes: Sequence[ast.stmt]) -> None:
        """`range` is evaluated once, and the variable may be assigned inside: the index has a place of its own."""
        bounds = [self._e.value(limit) for limit in limits]
        start, stop = bounds[:2] if len(bounds) > 1 else (ir.Constant(I64, 0), bounds[0])
        step = bounds[2] if len(bounds) > 2 else ir.Constant(I64, 1)
        sign = ">" if isinstance(step, ir.Constant) and step.constant < 0 else "<"
        index = self._place("index")
        names = ("head", "body", "next", "after")
        head, body, following, after = (self._b.append_basic_block(f"for.{name}") for name in names)
        self._b.store(start, index)
        self._go_on(head)
        self._b.cbranch(self._b.icmp_signed(sign, self._b.load(index), stop), body, after)
        self._b.position_at_end(body)
        self._set(name, self._b.load(index))
        self._loop_body(nodes, body, after, following)
        self._go_on(following)
        self._b.store(self._b.add(self._b.load(index), step, flags=["nsw"]), index)
        self._b.branch(head)
        self._b.position_at_end(after)
