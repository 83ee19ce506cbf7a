"""One server for each kind of cors_allowed_origins and cookie, each on its own path."""

import clrun


def allowed(origin, environ):
    return origin == "https://good.example" and environ["REQUEST_METHOD"] == "GET"


ORIGINS = {
    "none": None,
    "star": "*",
    "one": "https://good.example",
    "list": ["https://good.example", "https://fine.example"],
    "liststar": ["https://good.example", "*"],
    "empty": [],
    "callable": allowed,
    "callable1": lambda origin: origin == "https://good.example",
}

servers = {
    name: clrun.AsyncServer(path=f"/{name}", cors_allowed_origins=origins)
    for name, origins in ORIGINS.items()
}
servers["nocredentials"] = clrun.AsyncServer(
    path="/nocredentials", cors_allowed_origins="*", cors_credentials=False
)
servers["cookie"] = clrun.AsyncServer(path="/cookie", cookie="io")
servers["cookiedict"] = clrun.AsyncServer(
    path="/cookiedict",
    cookie={"name": "route", "path": "/x", "SameSite": "None", "Secure": True, "Max-Age": "60"},
)
servers["pollingonly"] = clrun.AsyncServer(path="/pollingonly", transports=["polling"])
servers["websocketonly"] = clrun.AsyncServer(path="/websocketonly", transports="websocket")
servers["noupgrade"] = clrun.AsyncServer(path="/noupgrade", allow_upgrades=False)
servers["small"] = clrun.AsyncServer(
    path="/small", max_http_buffer_size=1000, ping_interval=4.8, ping_timeout=0.75
)
servers["graced"] = clrun.AsyncServer(path="/graced", ping_interval=(2, 1), ping_timeout=3)
servers["deep"] = clrun.AsyncServer(path="/a/b/c")

for server in servers.values():

    @server.on("path")
    async def path(sid, server=server):
        return server.path
