"""A json module of the app's own, with keys and values that the standard one does not know."""

import datetime
import decimal
import json

import clrun


class OwnJson:
    """What python-socketio's users pass: dumps(obj, separators=…) and loads(str)."""

    @staticmethod
    def dumps(obj, separators=None):
        assert separators == (",", ":")

        def default(value):
            if isinstance(value, datetime.date):
                return value.isoformat()
            raise TypeError(type(value).__name__)

        return json.dumps(obj, separators=separators, default=default)

    @staticmethod
    def loads(text):
        assert isinstance(text, str)
        return json.loads(text, parse_float=decimal.Decimal)


sio = clrun.AsyncServer(json=OwnJson)


@sio.on("date")
async def date(sid):
    await sio.emit("day", {"day": datetime.date(2024, 2, 29), 7: b"bytes"}, to=sid)
    return datetime.date(2024, 3, 1)


@sio.on("types")
async def types(sid, *args):
    return [type(arg).__name__ for arg in args]


@sio.on("ack")
async def ack(sid, *args):
    return args
