"""The text form of programs: prints, parses back to an equal program, and refuses everything else with a line."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_draws import COMMANDS, instances, programs

from accel_sim.errors import ProgramError
from accel_sim.hardware import load_hardware
from accel_sim.program import (
    Fill,
    Lookup,
    Operand,
    Port,
    Program,
    Region,
    format_command,
    format_program,
    parse_program,
)

CODES = Operand("x", Region.ACTIVATIONS, 0, (1, 4), "int8")
TABLE = Operand("table", Region.CONSTANTS, 0, (256,), "int8")
LOOKUP = Lookup("tanh", "Tanh", CODES, TABLE, None, dataclasses.replace(CODES, name="y", address=64), -128)
PROGRAM = Program(
    "net",
    "tflite",
    load_hardware("paper-4x4"),
    (LOOKUP, Fill("pad", "Pad", CODES, 3)),
    (Port("in", CODES, None),),
    (Port("out", LOOKUP.output_to, None, (0, 1)),),
    bytes(range(256)),
    128,
)

LOOKUP_TEXT = """\
Lookup(
  layer="tanh", op="Tanh",
  input=%"x" activations+0 int8[1,4],
  table=%"table" constants+0 int8[256],
  table_index=None,
  output_to=%"y" activations+64 int8[1,4],
  first_code=-128)
"""


def faults(text):
    with pytest.raises(ProgramError) as caught:
        parse_program(text)
    return [str(fault) for fault in caught.value.faults]


def test_a_command_as_text():
    assert format_command(LOOKUP) + "\n" == LOOKUP_TEXT
    assert LOOKUP_TEXT in format_program(PROGRAM)


def test_a_program_reads_back_equal():
    assert parse_program(format_program(PROGRAM)) == PROGRAM


def test_comments_blank_lines_and_carriage_returns_mean_nothing():
    text = (
        format_program(PROGRAM)
        .replace("\nLookup", "\n# a comment\n\nLookup")
        .replace("[1,4],\n", "[1,4], # the codes\n")
    )
    assert parse_program(text.replace("\n", "\r\n")) == PROGRAM


@given(programs)
@settings(max_examples=150)
def test_every_program_reads_back_equal(program):
    assert parse_program(format_program(program)) == program


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_command_reads_back_equal(kind):
    @given(instances(kind))
    @settings(max_examples=20)
    def check(command):
        program = dataclasses.replace(PROGRAM, commands=(command,))
        assert parse_program(format_program(program)).commands == (command,)

    check()


def test_constants_may_be_elided_for_people_but_such_a_text_is_no_program():
    text = format_program(PROGRAM, constants=False)
    assert text.endswith("constants 256 bytes elided\n")
    (fault,) = faults(text)
    assert "print it with constants=True" in fault


@pytest.mark.parametrize(
    ("old", "new", "value", "rule"),
    [
        ("first_code=-128", "first_cod=-128", "first_cod", "Lookup has, once each, layer, op, input"),
        (",\n  first_code=-128", "", "Lookup", "Lookup also needs first_code"),
        ("first_code=-128", 'first_code="a"', '"a"', "Lookup.first_code is int"),
        ("first_code=-128", "first_code=1.5", "1.5", "Lookup.first_code is int"),
        ("first_code=-128)", "first_code=-128))", ")", "the statement ends here"),
        ("first_code=-128)", "first_code=-128", "the end of the statement", "here stands )"),
        ("table_index=None", "table_index=True", "True", "Lookup.table_index is Operand or nothing"),
        ("table_index=None", "table_index=?", "'?,", "is no value, name or sign"),
        ("activations+64", "registers+64", "registers", "a region is activations or constants"),
        ("activations+64 int8", "activations+64 int7", "int7", "an element type is one of"),
        ("activations+64", "activations+-64", "%", "are not negative"),
        ("Lookup(", "Lookdown(", "Lookdown", "is no command, recipe or enumeration"),
        ("Lookup(", "Rounding.TRIPLE", "Rounding.TRIPLE", "is one of DOUBLE, SINGLE, SINGLE_16BIT"),
        ("code=3", "code=Rounding.DOUBLE", "Rounding.DOUBLE", "Fill.code is int"),
        ("code=3", "code=(1 x 99999999999)", ")", "a tuple has at most"),
        ("code=3", "code=" + "(" * 60 + ")" * 60, "(", "values nest at most"),
        ("code=3", "code=" + "9" * 5000, "9" * 5000, "is a number of reasonable length"),
        ("activation_bytes = 128", "activation_bytes = -1", "-1", "activation_bytes is int, not negative"),
        ('name = "net"', "name = 'net'", "'net'", "is no value"),
        ("shapes = ()", "shapes = (1,)", "(1,)", "shapes is tuple[tuple[str, tuple[int, ...]], ...]"),
        ("\nLookup(", "\nQuantParams(scale=(0.0,), zero_point=(0,))\nLookup(", "QuantParams", "positive and finite"),
        ("grid]\n  rows = 4", "grid]\n  rows = 0", "hardware", "key grid.rows: 0"),
        ("constants 256 bytes:", "constants 255 bytes:", "256 bytes or more", "the stated 255 bytes"),
        ("constants 256 bytes:\n", "constants 256 bytes:\n  AAAA\n", "", "constants are zlib in base64"),
        ("constants 256 bytes:", "constants lots:", "constants lots:", "is 'constants N bytes:'"),
        ('name = "net"', 'name = "net"\nname = "net"', "name", "stands once"),
    ],
)
def test_a_fault_names_line_value_and_rule(old, new, value, rule):
    text = format_program(PROGRAM)
    assert old in text
    found = faults(text.replace(old, new, 1))
    assert len(found) == 1
    assert value in found[0]
    assert rule in found[0]


def test_the_line_is_the_line_of_the_value():
    text = format_program(PROGRAM).replace("first_code=-128", "first_code=None")
    line = next(i for i, content in enumerate(text.split("\n"), 1) if "first_code" in content)
    assert faults(text) == [f"line {line}: None: Lookup.first_code is int"]


def test_all_faulty_statements_are_reported_at_once():
    text = format_program(PROGRAM).replace("first_code=-128", "first_code=None").replace("code=3", "code=()")
    assert len(faults(text)) == 2


def test_missing_parts_are_named():
    assert faults("accel-sim program 1\n") == [
        f"program: {key}: is missing" for key in ("name", "profile", "activation_bytes", "hardware", "constants")
    ]


@pytest.mark.parametrize("text", ["", "accel-sim program 2\n", "PK\x03\x04", "{}"])
def test_another_kind_of_text_is_refused_at_line_1(text):
    assert "the first line is 'accel-sim program 1'" in faults(text)[0]


@given(st.data())
@settings(max_examples=200)
def test_a_damaged_text_is_a_program_or_a_program_error(data):
    text = format_program(PROGRAM)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    damaged = text[:start] + data.draw(st.text(max_size=5)) + text[end:]
    try:
        assert isinstance(parse_program(damaged), Program)
    except ProgramError as error:
        assert error.faults  # noqa: PT017 both outcomes are fine; an error must say what is wrong
