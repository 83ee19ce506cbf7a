"""Sound: what comes from the microphone, and what the page plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from .errors import InvalidEventError


@dataclass
class InputAudioChunk:
    """From the microphone. elapsedTime: ms since it was switched on. data: PCM16, mono, 24 kHz."""

    isStart: bool
    mimeType: str
    elapsedTime: float
    data: bytes


class OutputAudioChunk(TypedDict):
    """For the page to play. data: PCM16, mono, 24 kHz. track: what is played one after another."""

    track: str
    mimeType: str
    data: bytes


def read_chunk(value: Any) -> InputAudioChunk:
    """A client's chunk. InvalidEventError for what is none."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), (bytes, bytearray)):
        raise InvalidEventError("A chunk of sound must have binary data.")
    mime, elapsed = value.get("mimeType", "pcm16"), value.get("elapsedTime", 0)
    if (
        not isinstance(mime, str)
        or isinstance(elapsed, bool)
        or not isinstance(elapsed, (int, float))
    ):
        raise InvalidEventError("A chunk of sound has a mimeType and an elapsedTime.")
    return InputAudioChunk(bool(value.get("isStart")), mime, elapsed, bytes(value["data"]))
