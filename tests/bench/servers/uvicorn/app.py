"""The benchmark's HTTP side on uvicorn: the files of STATIC_DIR, by Starlette."""

import os

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

app = Starlette(routes=[Mount("/public", StaticFiles(directory=os.environ["STATIC_DIR"]))])
