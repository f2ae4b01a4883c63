"""The text format of protobuf, by its specification."""

import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handheld.errors import GraphTextError, GraphValidationError
from handheld.graph.text.message import (
    MOST_DEPTH,
    MOST_FIELDS,
    MOST_LETTERS,
    TextField,
    TextMessage,
    parse_message,
    print_message,
)


def value_of(text):
    (value,) = parse_message(f"x: {text}").values("x")
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-17", -17),
        ("0x1F", 31),
        ("-0Xff", -255),
        ("017", 15),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.", 1.0),
        (".5", 0.5),
        ("- .5e-3", -0.0005),
        ("1f", 1.0),
        ("1.5F", 1.5),
        ("0f", 0.0),
        ("1e10", 1e10),
        ("99999999999999999999", 1e20),
        ("1e999", math.inf),
        ("-1e999", -math.inf),
        ("inf", "inf"),
        ("-inf", "-inf"),
        ("-Infinity", "-Infinity"),
        ("nan", "nan"),
        ("true", "true"),
        ("TOP_LEFT", "TOP_LEFT"),
        ('"it\'s"', b"it's"),
        ("'say \"hi\"'", b'say "hi"'),
        ('"one" \'two\'\n# between\n"three"', b"onetwothree"),
        (r'"\a\b\f\n\r\t\v\?\\\'\""', b"\a\b\f\n\r\t\v?\\'\""),
        (r'"\0\17\1234\x4\x41B"', b"\0\x0fS4\x04AB"),
        (r'"\377\xff"', b"\xff\xff"),
        (r'"\u00e9\U0001F600\ud83d\ude00"', "é\U0001f600\U0001f600".encode()),
        ('"é"', "é".encode()),
    ],
)
def test_a_scalar_is_read(text, value):
    read = value_of(text)
    assert read == value
    assert type(read) is type(value)


def test_messages_have_either_bracket_with_a_colon_or_without():
    expected = TextMessage((TextField("a", TextMessage((TextField("b", 1),))),))
    for text in ("a{b:1}", "a: {b: 1}", "a <b: 1>", "a:<b:1;>", "a {b: 1,},", "a{b:1};"):
        assert parse_message(text) == expected, text


def test_a_list_is_its_entries_one_by_one():
    assert parse_message("a: [1, 2] b: []") == parse_message("a: 1 a: 2")
    assert parse_message("a [{b: 1}, <b: 2>]") == parse_message("a {b: 1} a {b: 2}")
    assert parse_message("a: ['x' 'y', 'z']").values("a") == [b"xy", b"z"]


def test_extensions_and_types_of_any_stand_in_brackets():
    text = """
    [ mediapipe . Gate . ext ] { allow: true }
    [type.googleapis.com/mediapipe.Gate]: {}
    [my-host.org/a.B] {}
    """
    names = [entry.name for entry in parse_message(text)]
    assert names == [
        "[mediapipe.Gate.ext]",
        "[type.googleapis.com/mediapipe.Gate]",
        "[my-host.org/a.B]",
    ]


def test_positions_are_of_names_and_values():
    message = parse_message("\ufeff# a comment\r\nnode {\r\n  name:\t'x'\r\n}")
    (node,) = message.fields
    (name,) = node.value.fields
    assert node.position == (2, 1)
    assert node.value_position == (2, 6)
    assert name.position == (3, 3)
    assert name.value_position == (3, 9)


def test_meaning_is_the_order_within_a_name():
    assert parse_message("a: 1 b: 2 a: 3") == parse_message("b: 2 a: 1 a: 3")
    assert parse_message("a: 1 a: 3") != parse_message("a: 3 a: 1")
    assert parse_message("a: 1") != parse_message("a: 1.0")
    assert parse_message("a: 'x'") != parse_message("a: x")
    assert hash(parse_message("a: 1 b: 2")) == hash(parse_message("b: 2 a: 1"))
    assert parse_message("") != ""


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("a 5", 1, 3, "expected ':' or '{' after 'a', got '5'"),
        ("a:\n  }", 2, 3, "expected a value of 'a', got '}'"),
        ("a {\n b: 1\n", 3, 1, "expected '}', got the end of the text (in 'a', which begins in"),
        ("a {b: 1>", 1, 8, "expected the name of a field, got '>'"),
        ("}", 1, 1, "expected the name of a field, got '}'"),
        ("1: 2", 1, 1, "expected the name of a field, got '1'"),
        ("a: [1 2]", 1, 7, "expected ',' or ']' in a list, got '2'"),
        ("a: [{}, 5]", 1, 9, "expected '{', as the entry before it has, got '5'"),
        ("a: [{} {}]", 1, 8, "expected ',' or ']' in a list"),
        ("a: [[1]]", 1, 5, "expected a value of 'a', got '['"),
        ("[]: 1", 1, 2, "expected the name of an extension or a type"),
        ("[a b: {", 1, 5, "expected the name of an extension or a type, and ']', got ':'"),
        ("a: 'x", 1, 4, "a string without its end: expected ' on the same line"),
        ("a: 'x\n'", 1, 4, "a string without its end"),
        ("a: 'x\0'", 1, 4, "a string with a NUL in it"),
        (r"a: '\q'", 1, 4, r"no escape '\\q'"),
        (r"a: '\400'", 1, 4, r"expected a byte of at most \377"),
        (r"a: '\ud800'", 1, 4, "half a letter"),
        (r"a: '\ud800\xff'", 1, 4, "half a letter"),
        (r"a: '\U00110000'", 1, 4, "no letter"),
        ("a: 09", 1, 4, "expected a number, got '09'"),
        ("a: 01.5", 1, 4, "expected a number, got '01.5'"),
        ("a: 1.2.3", 1, 4, "expected a number, got '1.2.3'"),
        ("a: 5apples", 1, 4, "expected a number, got '5apples'"),
        ("a: 0x1" + "0" * 16, 1, 4, "expected a number of at most 64 bits"),
        ("a: -'x'", 1, 5, "expected a value of 'a', got the string 'x'"),
        ("a: -TOP", 1, 5, "expected a number after '-', got 'TOP'"),
        ("a: %i%", 1, 4, "'%' belongs to a template"),
        ("a: @x", 1, 4, "'@' belongs to a template"),
        ("a: \0", 1, 4, "a NUL, which no text has"),
        ("é: 1", 1, 1, "expected a name, a value or a bracket, got 'é'"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text, line, column, reason):
    with pytest.raises(GraphTextError) as caught:
        parse_message(text, "my.pbtxt")
    error = caught.value
    assert reason in str(error)
    assert str(error).startswith(f"my.pbtxt:{line}:{column}: ")
    assert (error.source, error.line, error.column) == ("my.pbtxt", line, column)
    assert isinstance(error, GraphValidationError)
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.line, copied.reason) == (str(error), line, error.reason)


def test_an_error_without_a_file_names_the_line():
    with pytest.raises(GraphTextError, match=r"^line 1, column 3: expected ':'"):
        parse_message("a 5")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a{" * 10**6, f"at most {MOST_DEPTH} messages"),
        ("a:[{" * 10**6, f"at most {MOST_DEPTH} messages"),
        ("a: " + "9" * 10**6, "got one of 1,000,000 digits"),
        ("a: '" + "\\'" * 10**6, "without its end"),
        ("a: 'x" + "\n" * 10**6, "without its end"),
        ("x" * (MOST_LETTERS + 1), "expected a text of at most"),
        ("a:1 " * (MOST_FIELDS + 1), "expected at most 200,000 fields"),
        ("a: [" + "1," * MOST_FIELDS + "1,", "expected at most 200,000 fields"),
    ],
    ids=["messages", "lists", "digits", "string", "lines", "letters", "fields", "list"],
)
def test_a_hostile_text_is_an_error_and_no_more(text, reason):
    with pytest.raises(GraphTextError, match=reason):
        parse_message(text)


def test_the_deepest_message_is_read_and_printed_and_no_deeper_one_is():
    deepest = parse_message("a{" * MOST_DEPTH + "}" * MOST_DEPTH)
    assert parse_message(print_message(deepest)) == deepest
    for _ in range(2):
        deepest = TextMessage((TextField("a", deepest),))
    with pytest.raises(GraphTextError, match="at most 100 messages"):
        print_message(deepest)


NAMES = st.from_regex(r"[a-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
BRACKETED = st.from_regex(
    r"\[[a-z]{1,5}(\.[a-z]{1,5}){0,2}(/[a-z]{1,5}(\.[A-Z][a-z]{1,5})?)?\]", fullmatch=True
)
SCALARS = st.one_of(
    st.binary(max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.encode),
    NAMES,
    st.sampled_from(["-inf", "-nan", "true"]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
)


def fields(values):
    names = st.one_of(NAMES, BRACKETED)
    return st.builds(TextField, names, values)


MESSAGES = st.recursive(
    st.just(TextMessage()),
    lambda inner: st.lists(fields(st.one_of(SCALARS, inner)), max_size=6).map(
        lambda entries: TextMessage(tuple(entries))
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(MESSAGES)
def test_what_is_printed_is_read_as_it_was(message):
    read = parse_message(print_message(message))
    assert read == message
    assert hash(read) == hash(message)
    assert [entry.name for entry in read] == [entry.name for entry in message]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        message = parse_message(text)
    except GraphTextError:
        return
    assert parse_message(print_message(message)) == message


TOKENS = ["a", "1", "-1", "'x'", "[a.b]", *"{}<>[]:,;#./-"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=12))
def test_any_tokens_are_read_or_refused(tokens):
    test_any_text_is_read_or_refused.hypothesis.inner_test(" ".join(tokens))
