"""A FastAPI application and a Socket.IO server on one port: what happens in one is told by the other."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from clrun import sio

KEPT = 1000  # reports, the oldest go


@asynccontextmanager
async def lifespan(app):
    """Runs once in each worker: before its first request, and after its last."""
    app.state.reports = {}
    yield
    app.state.reports.clear()


app = FastAPI(title="clrun and FastAPI", lifespan=lifespan)


# ---- dependencies and background tasks ----


class Notifier:
    """Tells every Socket.IO client, once the response is sent."""

    def __init__(self, tasks: BackgroundTasks):
        self.tasks = tasks

    def later(self, event, **data):
        self.tasks.add_task(sio.emit, event, data)


def get_reports(request: Request):
    return request.app.state.reports


@app.post("/upload")
async def upload(
    file: UploadFile,
    notifier: Annotated[Notifier, Depends()],
    reports: Annotated[dict, Depends(get_reports)],
):
    """A file of any size: it is read in pieces, and Socket.IO clients hear of it."""
    digest, size = hashlib.sha256(), 0
    while piece := await file.read(65536):
        digest.update(piece)
        size += len(piece)
    report = {"name": file.filename, "size": size, "sha256": digest.hexdigest()}
    reports[file.filename] = report
    while len(reports) > KEPT:
        reports.pop(next(iter(reports)))
    notifier.later("uploaded", **report)
    return report


@app.get("/uploads")
async def uploads(reports: Annotated[dict, Depends(get_reports)]):
    return list(reports.values())


# ---- server-sent events ----


@app.get("/ticks")
async def ticks(count: int = 10, seconds: float = 1):
    """curl -N 'http://127.0.0.1:8000/ticks?count=3'"""

    async def events():
        for number in range(count):
            yield f"event: tick\ndata: {json.dumps({'number': number})}\n\n"
            await asyncio.sleep(seconds)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})


# ---- a WebSocket beside Socket.IO ----


@app.websocket("/ws/{name}")
async def talk(socket: WebSocket, name: str):
    """What a plain WebSocket says goes to all Socket.IO clients; it gets the count of its words back."""
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            await sio.emit("said", {"name": name, "text": text})
            await socket.send_json({"words": len(text.split())})
    except WebSocketDisconnect:
        await sio.emit("left", {"name": name})


# ---- Socket.IO ----


@sio.event
async def ask(sid, name):
    """Both sides share the process: a handler sees what a route stored."""
    return app.state.reports.get(name)
