"""The JSON of _clrun against the json module, which it must not be told from."""

import collections
import enum
import json
import math
import random
import sys

import pytest
from _clrun import json_decode, json_encode


def encode(value):
    text, attachments = json_encode(value)
    assert attachments == []
    return text.decode()


def reference(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Numbers(enum.IntEnum):
    ONE = 1
    HUGE = 10**30


class Names(enum.StrEnum):
    A = "the letter a"


class Fraction(float):
    def __repr__(self):
        return "not this"


class Text(str):
    def __str__(self):
        return "not this"


class Reversed(dict):
    def items(self):
        return list(reversed(list(super().items())))


SAMPLES = [
    None, True, False, 0, -0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1,
    10**18, 10**19, 10**400, 0.0, -0.0, 1.0, 0.1, 1e16, 1e22, 1e-7, 5e-324, 1.7976931348623157e308,
    "", "a", "é", "\u2028", "😀", "\x00", "\x1f", "\x7f", '"', "\\", "/", "\b\f\n\r\t", "a" * 7 + '"',
    "a" * 8 + "\n", "x" * 1000, "é" * 1000, [], {}, (), [[]], [{}], {"": []}, {"a": 1, "b": [2, 3]},
    (1, "two", [3]), {1: 2, 1.5: 3, True: 4, None: 5, 10**30: 6}, Numbers.ONE, [Numbers.HUGE],
    Names.A, {Names.A: Names.A}, {Numbers.ONE: 1}, Fraction(0.5), Text("text"),
    collections.OrderedDict(b=1, a=2), collections.defaultdict(int, x=1), Reversed(a=1, b=2),
    collections.namedtuple("Point", "x y")(1, 2),
]  # fmt: skip


@pytest.mark.parametrize("value", SAMPLES, ids=lambda v: repr(v)[:30])
def test_encodes_as_json_does(value):
    assert encode(value) == reference(value)


@pytest.mark.parametrize("value", SAMPLES, ids=lambda v: repr(v)[:30])
def test_decodes_what_json_wrote(value):
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert repr(json_decode(text.encode())) == repr(json.loads(text))


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 5 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randrange(-(10 ** rng.randrange(1, 40)), 10 ** rng.randrange(1, 40))
    if kind == 2:
        value = math.ldexp(rng.random() - 0.5, rng.randrange(-1000, 1000))
        return rng.choice([value, round(value, 3), float(rng.randrange(1000))])
    if kind < 6:
        length = rng.choice([0, 1, 3, 7, 8, 9, 20, 100])
        alphabet = rng.choice(["abc", 'a"\\\n\x01/', "aé€😀\u2028", "a\ud800\udc00\udfff"])
        return "".join(rng.choice(alphabet) for _ in range(length))
    if kind < 8:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(8))]
    keys = [rng.choice(["id", "a", "name", "é", "x" * 40, "k\n"]) for _ in range(rng.randrange(6))]
    return {key: random_value(rng, depth + 1) for key in keys}


@pytest.mark.parametrize("seed", range(40))
def test_random_values_there_and_back(seed):
    rng = random.Random(seed)
    for _ in range(50):
        value = random_value(rng)
        text = json.dumps(value, separators=(",", ":"))
        assert repr(json_decode(text.encode())) == repr(json.loads(text))
        # Lone surrogates have no UTF-8: those are escaped, all else is written as it is.
        again = json_encode(value)[0].decode("utf-8")
        assert json.loads(again) == json.loads(text)
        try:
            assert again.encode() == reference(value).encode("utf-8")
        except UnicodeEncodeError:
            pass


VALID = [
    "1", " 1 ", "\t[\n1\r,2 ]", "-0", "-0.0", "1e5", "1E+5", "1.5e-3", "1e400", "-1e400", "0.0e0",
    "123456789012345678", "1234567890123456789", "-99999999999999999999", '"\\u0041\\n\\/"',
    '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00\\ud83d"', '"\\ud83d\\u0041"', '"\\ud83dx"',
    '"\\uD83D\\uDE00"', '"\\ud83d\\ud83d\\ude00"', '{"a":1,"a":2}', '{ "a" : { } }', '[ [ ] , [ ] ]',
]  # fmt: skip


@pytest.mark.parametrize("text", VALID)
def test_reads_valid_text_as_json_does(text):
    assert repr(json_decode(text)) == repr(json.loads(text))


INVALID = [
    "", " ", "nul", "tru", "falsehood", "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "--1",
    "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,}',
    "{1:2}", "{'a':1}", '{"a" 1}', '{,}', '"', '"a', '"\\', '"\\x"', '"\\u12"', '"\\u12g4"', '"\n"',
    '"\x00"', '"\x1f"', "1 2", "[]x", '""""', "/**/1", "NaN", "Infinity", "-Infinity", "\ufeff1",
    '"\\u+123"', "\v1", '{"a":1 "b":2}', '["a",\x0c1]',
]  # fmt: skip


@pytest.mark.parametrize("text", INVALID)
def test_refuses_invalid_text(text):
    with pytest.raises(ValueError):
        json_decode(text)


@pytest.mark.parametrize(
    "text",
    [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\\ud800\xed\xa0\x80"',
     b'"\xed\xa0\x80\\ud800"', b'{"\xff":1}', b'"\\n\xf5\x80\x80\x80"'],
)  # fmt: skip
def test_refuses_invalid_utf8(text):
    with pytest.raises(ValueError):
        json_decode(text)


def test_reads_every_cut_of_a_text_without_going_past_its_end():
    text = b'[{"key":"va\\u00e9lue","n":-12.5e3},true,false,null,"\\ud83d\\ude00"]'
    for size in range(len(text)):
        with pytest.raises(ValueError):
            json_decode(text[:size])
    assert json_decode(text) == json.loads(text)


@pytest.mark.skipif(not sys.get_int_max_str_digits(), reason="no limit set")
def test_refuses_integers_beyond_the_limit_of_digits():
    limit = sys.get_int_max_str_digits()
    assert json_decode("9" * limit) == int("9" * limit)
    with pytest.raises(ValueError):
        json_decode("9" * (limit + 1))
    with pytest.raises(ValueError):
        json_encode(10**limit)


def test_bounds_nesting():
    assert json_decode("[" * 512 + "]" * 512)
    assert json_encode(json_decode("[" * 512 + "]" * 512))[0] == b"[" * 512 + b"]" * 512
    for text in ("[" * 513 + "]" * 513, '{"a":' * 513 + "1" + "}" * 513, "[" * 100_000):
        with pytest.raises(ValueError):
            json_decode(text)
    value = []
    value.append(value)
    with pytest.raises(RecursionError):
        json_encode(value)
    value = {}
    value["self"] = value
    with pytest.raises(RecursionError):
        json_encode(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_refuses_what_no_json_has(value):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        json_encode([value])
    with pytest.raises(ValueError):
        json_encode({value: 1})


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, lambda: 0, print, [object()], {"a": {1}}])
def test_refuses_unknown_types_in_the_words_of_json(value):
    with pytest.raises(TypeError) as ours:
        json_encode(value)
    with pytest.raises(TypeError) as theirs:
        json.dumps(value)
    assert str(ours.value) == str(theirs.value)


def test_refuses_unknown_keys_in_the_words_of_json():
    with pytest.raises(TypeError) as ours:
        json_encode({(1, 2): 3})
    with pytest.raises(TypeError) as theirs:
        json.dumps({(1, 2): 3})
    assert str(ours.value) == str(theirs.value)


def test_passes_on_what_a_dict_subclass_raises():
    class Broken(dict):
        def items(self):
            raise LookupError("no items today")

    with pytest.raises(LookupError):
        json_encode({"a": Broken(b=1)})


def test_survives_a_dict_that_changes_while_it_is_written():
    outer = {}

    class Changing(dict):
        def items(self):
            outer.clear()
            return super().items()

    outer.update(a=Changing(x=1), b=2, c=[1, 2, 3])
    json_encode(outer)


def test_takes_bytes_out_in_depth_first_order():
    view = memoryview(b"abcdef")
    value = ["e", {"x": b"0", "y": [bytearray(b"1"), {"z": view[::2]}]}, b"0"]
    text, attachments = json_encode(value)
    place = '{"_placeholder":true,"num":%d}'
    assert text.decode() == '["e",{"x":%s,"y":[%s,{"z":%s}]},%s]' % tuple(
        place % n for n in range(4)
    )
    assert attachments == [b"0", b"1", b"ace", b"0"]
    assert all(type(item) is bytes for item in attachments)


def test_keeps_a_copy_of_bytes_that_may_change():
    value = bytearray(b"before")
    _, attachments = json_encode([value])
    value[:] = b"after"
    assert attachments == [b"before"]


def test_puts_bytes_in_the_place_of_their_placeholders():
    place = {"_placeholder": True, "num": 1}
    value = ["e", place, {"deep": [place, {"num": 0, "_placeholder": True}]}]
    assert json_decode(json.dumps(value), [b"zero", b"one"]) == [
        "e", b"one", {"deep": [b"one", b"zero"]},
    ]  # fmt: skip


def test_leaves_placeholders_alone_when_there_are_no_attachments():
    value = {"_placeholder": True, "num": 0}
    assert json_decode(json.dumps(value)) == value


@pytest.mark.parametrize("other", [False, 1, "true", None])
def test_takes_only_true_for_a_placeholder(other):
    value = {"_placeholder": other, "num": 0}
    assert json_decode(json.dumps(value), [b"zero"]) == value


@pytest.mark.parametrize("num", ["1", "-1", "2.0", '"0"', "null", "1e0", str(10**30), "true"])
def test_refuses_placeholders_of_nothing(num):
    with pytest.raises(ValueError, match="illegal attachments"):
        json_decode('[{"_placeholder":true,"num":%s}]' % num, [b"zero"])
    with pytest.raises(ValueError, match="illegal attachments"):
        json_decode('[{"_placeholder":true}]', [b"zero"])


def test_long_and_many_values():
    value = [list(range(100_000)), "x" * 1_000_000, {str(i): i for i in range(10_000)}]
    text, _ = json_encode(value)
    assert text.decode() == reference(value)
    assert json_decode(text) == value
