"""Expressions of the language of steps (`translate`) as instructions."""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from accel_kernels._jit import Kernel
from accel_kernels.native.emit import I64, Emitter, Instruction, Value
from accel_kernels.native.parts import Part

_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.LShift: "shl",
    ast.RShift: "ashr",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
}
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ZERO, _ONE = ir.Constant(I64, 0), ir.Constant(I64, 1)


class Expressions:
    """Writes what expressions of one function evaluate.

    Args:
        builder: at the place where instructions are written.
        variables: the function's, name -> where its int64 lies.
        known: all other names -> their values.
        call_part: writes a call of a part with some arguments: int64, parts and instructions.
    """

    def __init__(
        self,
        builder: Any,
        variables: Mapping[str, Any],
        known: Mapping[str, Any],
        call_part: Callable[[Part, Sequence[Any]], Value],
    ) -> None:
        self._b, self._variables, self._known, self._call_part = builder, variables, known, call_part

    def is_known(self, node: ast.expr) -> bool:
        """Whether Python can evaluate it now."""
        return all(self._is_known_leaf(each) for each in ast.walk(node))

    def _is_known_leaf(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id not in self._variables and node.id in self._known
        return not isinstance(node, ast.Call)

    def known(self, node: ast.expr) -> Any:
        """The value of what is known."""
        if isinstance(node, ast.Constant):
            return node.value
        if not self.is_known(node):
            raise self.fault(node)
        return eval(compile(ast.Expression(node), "known", "eval"), {}, self._known)

    def fault(self, node: ast.AST) -> Exception:
        """What is raised where a function is not in the language."""
        place = f"{self._b.function.name}, line {getattr(node, 'lineno', '?')}"
        written = ast.unparse(node).partition("\n")[0]
        return SyntaxError(f"{place}: `{written}` is not in the language of steps")

    def value(self, node: ast.expr) -> Value:
        """An int64."""
        match node:
            case ast.Name(id=name) if name in self._variables:
                return self._b.load(self._variables[name])
            case _ if self.is_known(node):
                return self._constant(node)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.binary(node, operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._b.neg(self.value(operand))
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return self._b.not_(self.value(operand))
            case ast.Compare():
                return self._b.zext(self._compare(node), I64)
            case ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return self._either(node, lambda: _ONE, lambda: _ZERO)
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                if self.is_known(test):
                    return self.value(body if self.known(test) else otherwise)
                return self._either(test, lambda: self.value(body), lambda: self.value(otherwise))
            case ast.Call():
                result = self.call(node)
                if result is not None and result.type == I64:
                    return result
        raise self.fault(node)

    def _constant(self, node: ast.expr) -> Value:
        value = self.known(node)
        if not isinstance(value, int):
            raise self.fault(node)
        return ir.Constant(I64, int(value))

    def values(self, node: ast.expr, count: int) -> list[Value]:
        """Several int64 at once, of a tuple or a call."""
        if isinstance(node, ast.Tuple) and len(node.elts) == count:
            return [self.value(each) for each in node.elts]
        result = self.call(node) if isinstance(node, ast.Call) else None
        if result is None or not isinstance(result.type, ir.LiteralStructType) or len(result.type.elements) != count:
            raise self.fault(node)
        return [self._b.extract_value(result, index) for index in range(count)]

    def branch(self, test: ast.expr, yes: Any, no: Any) -> None:
        """To one of two blocks."""
        match test:
            case _ if self.is_known(test):
                self._b.branch(yes if self.known(test) else no)
            case ast.BoolOp(op=operator, values=[*first, last]):
                for each in first:
                    following = self._b.append_basic_block("and" if isinstance(operator, ast.And) else "or")
                    self.branch(each, *((following, no) if isinstance(operator, ast.And) else (yes, following)))
                    self._b.position_at_end(following)
                self.branch(last, yes, no)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.branch(operand, no, yes)
            case ast.Compare():
                self._b.cbranch(self._compare(test), yes, no)
            case _:
                self._b.cbranch(self._b.icmp_signed("!=", self.value(test), _ZERO), yes, no)

    def _compare(self, node: ast.Compare) -> Value:
        operands = [self.value(each) for each in (node.left, *node.comparators)]
        found = None
        for operator, a, b in zip(node.ops, operands[:-1], operands[1:], strict=True):
            if type(operator) not in _COMPARISONS:
                raise self.fault(node)
            one = self._b.icmp_signed(_COMPARISONS[type(operator)], a, b)
            found = one if found is None else self._b.and_(found, one)
        return found

    def _either(self, test: ast.expr, yes: Callable[[], Value], no: Callable[[], Value]) -> Value:
        blocks, results = [self._b.append_basic_block(name) for name in ("yes", "no")], []
        after = self._b.append_basic_block("either")
        self.branch(test, *blocks)
        for block, value in zip(blocks, (yes, no), strict=True):
            self._b.position_at_end(block)
            results.append((value(), self._b.block))
            self._b.branch(after)
        self._b.position_at_end(after)
        found = self._b.phi(I64)
        for result in results:
            found.add_incoming(*result)
        return found

    def binary(self, node: ast.AST, operator: ast.operator, a: Value, b: Value) -> Value:
        """An operation on two int64."""
        if type(operator) in _OPERATORS:
            return getattr(self._b, _OPERATORS[type(operator)])(a, b)
        if not isinstance(operator, (ast.FloorDiv, ast.Mod)):
            raise self.fault(node)
        divides = isinstance(operator, ast.FloorDiv)
        if isinstance(b, ir.Constant) and b.constant > 0 and b.constant.bit_count() == 1:
            if divides:
                return self._b.ashr(a, ir.Constant(I64, b.constant.bit_length() - 1))
            return self._b.and_(a, ir.Constant(I64, b.constant - 1))
        rest = self._b.srem(a, b)
        opposite = self._b.icmp_signed("<", self._b.xor(rest, b), _ZERO)
        below = self._b.and_(self._b.icmp_signed("!=", rest, _ZERO), opposite)
        if divides:
            return self._b.sub(self._b.sdiv(a, b), self._b.zext(below, I64))
        return self._b.add(rest, self._b.select(below, b, _ZERO))

    def call(self, node: ast.Call) -> Value | None:
        """What is called gives an int64, several (a struct), or nothing."""
        called = self.known(node.func)
        if node.keywords:
            raise self.fault(node)
        if isinstance(called, Kernel):
            called = Part(called.py_func)
        if isinstance(called, Part):
            return self._call_part(called, [self._argument(argument) for argument in node.args])
        values = [self.value(argument) for argument in node.args]
        if isinstance(called, Instruction) and called.count == len(values):
            return called.emit(Emitter(self._b), values)
        if called in (min, max) and len(values) > 1:
            return self._extreme("<" if called is min else ">", values)
        if called is np.int64 and len(values) == 1:
            return values[0]
        raise self.fault(node)

    def _argument(self, node: ast.expr) -> Any:
        known = self.known(node) if isinstance(node, ast.Name) and self.is_known(node) else None
        return known if isinstance(known, (Part, Instruction)) else self.value(node)

    def _extreme(self, sign: str, values: Sequence[Value]) -> Value:
        found, *others = values
        for other in others:
            found = self._b.select(self._b.icmp_signed(sign, other, found), other, found)
        return found
