"""The explorer in the browser of this machine, for the command: nobody else can reach it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

from crfrnn.explorer.bundle import FRONT, bundled
from crfrnn.explorer.explore import for_pages
from crfrnn.explorer.messages import answered, packed, unpacked
from crfrnn.explorer.session import Session
from crfrnn.optional import needed

_LOOPBACK = "127.0.0.1"
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>crfrnn explorer</title>
<link rel="icon" href="data:,">
<style>{style} body {{ margin: 0; }} #explorer {{ min-height: 100vh; }}
@media (min-width: 861px) {{ #explorer {{ height: 100vh; }} }}</style>
<body><main id="explorer"></main>
<script type="application/json" id="data">{data}</script>
<script type="module">{script}</script>
</html>
"""


def page(name: str) -> str:
    """The page; name: of the image, for the files that are saved."""
    data = json.dumps({"presets": for_pages(), "name": name}).replace("</", "<\\/")
    style = (FRONT / "explorer.css").read_text("utf-8")
    return _PAGE.format(style=style, data=data, script=bundled("local.js"))


def application(session: Session, name: str, secret: str) -> Any:
    """The page and its answers below /secret/, for requests to this machine by its own names.

    The secret keeps other pages that the browser shows from asking; the names, pages whose address
    was made to mean this machine.
    """
    needed("starlette", "The explorer in a browser", "explorer")
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    async def show(_: Any) -> Any:
        return HTMLResponse(page(name))

    async def ask(request: Any) -> Any:
        content = await request.body()
        try:
            question = unpacked(content)
        except ValueError as error:
            return Response(str(error), status_code=400)
        # In a thread: a question takes its time, in which the page may be loaded again.
        answer, arrays = await run_in_threadpool(answered, session, *question)
        return Response(packed(answer, arrays), media_type="application/octet-stream")

    routes = [Route(f"/{secret}/", show), Route(f"/{secret}/ask", ask, methods=["POST"])]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[_LOOPBACK, "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


def serve(
    session: Session,
    name: str,
    *,
    port: int = 0,
    browser: bool = True,
    say: Callable[[str], Any] = print,
) -> None:
    """Serve an explorer until Ctrl-C.

    Args:
        session: the image.
        name: of the image.
        port: 0: one that is free.
        browser: open the user's browser.
        say: takes the line that tells the address.

    Raises:
        ImportError: starlette or uvicorn is missing.
        OSError: the port is taken.
    """
    uvicorn = needed("uvicorn", "The explorer in a browser", "explorer")
    secret = secrets.token_urlsafe(16)
    app = application(session, name, secret)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        if os.name != "nt":  # there it would share a port that another program has
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
        listening.listen()  # from now on a browser that is quicker than the server waits
        address = f"http://{_LOOPBACK}:{listening.getsockname()[1]}/{secret}/"
        say(f"The explorer is at {address} (Ctrl-C ends it).")
        if browser:
            # In a thread: one in a terminal returns when it is closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        with contextlib.suppress(KeyboardInterrupt):  # raised again when it has ended
            server.run(sockets=[listening])
