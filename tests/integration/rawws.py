"""A WebSocket client that can break every rule: frames as bytes over a plain connection."""

import asyncio
import os
import socket
import struct

from harness import scaled

TEXT, BINARY, CONTINUE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode, data=b"", fin=True, masked=True, reserved=0, length=None):
    """The bytes of a frame; length overrides the one in its head."""
    data = data.encode() if isinstance(data, str) else data
    size = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


class RawWebSocket:
    """Opened by RawWebSocket.open(server). `head` is the answer to the handshake, `reserved` the
    three reserved bits of the last frame."""

    def __init__(self, reader, writer, head=""):
        self.reader, self.writer, self.head = reader, writer, head
        self.reserved = 0

    @classmethod
    async def open(
        cls, server, path="/socket.io/", query="", headers="", unread=None, **socket_options
    ):
        """headers: further lines of the handshake. unread: about as many bytes are taken from the
        network before they are read."""
        plain = socket.socket()
        if unread:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread)
            socket_options["limit"] = unread
        plain.connect(("127.0.0.1", server.port))
        plain.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=plain, **socket_options)
        writer.write(
            f"GET {path}?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: x\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        return cls(reader, writer, head.decode())

    def send(self, *frames):
        self.writer.write(b"".join(frames))

    async def recv(self, seconds=5):
        """(opcode, payload) of the next frame, or None when the connection ends."""
        async with asyncio.timeout(scaled(seconds)):
            try:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                assert not second & 0x80, "a server must not mask"
                self.reserved = first >> 4 & 7
                if size >= 126:
                    raw = await self.reader.readexactly(2 if size == 126 else 8)
                    size = int.from_bytes(raw, "big")
                return first & 0x0F, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return None

    async def texts(self, count):
        return [(await self.recv())[1].decode() for _ in range(count)]

    async def close_code(self, seconds=5):
        """Reads to the end; the code of the close frame, None without one."""
        code = None
        while (got := await self.recv(seconds)) is not None:
            if got[0] == CLOSE:
                code = int.from_bytes(got[1][:2], "big") if got[1] else 1005
        return code

    def close(self):
        self.writer.close()
