"""The site on a socket of this machine."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Collection

import uvicorn

from gaugenn.errors import UsageError
from gaugenn.explorer._application import application
from gaugenn.store import Study


def serve(
    study: Study,
    address: str,
    port: int,
    names: Collection[str],
    ready: Callable[[str], None],
) -> None:
    """Serves a study until it is interrupted.

    Args:
        study: to read.
        address: literal address to listen on.
        port: to listen on; 0 for any that is free.
        names: names of this machine that are answered to, beside those of loopback.
        ready: is given the site's address when it listens.

    Raises:
        UsageError: the address cannot be listened on.
    """
    try:
        literal = ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(f"{address!r} is no literal address such as 127.0.0.1") from None
    kind = socket.AF_INET6 if literal.version == 6 else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address, port))
        except OSError as error:
            hint = "; --port 0 takes one that is free" if error.errno == errno.EADDRINUSE else ""
            raise UsageError(
                f"{address} port {port} cannot be used: {error.strerror}{hint}"
            ) from error
        host = f"[{address}]" if literal.version == 6 else address
        config = uvicorn.Config(
            application(study, names, literal=not literal.is_loopback),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=1,  # a browser keeps its connections
        )
        listening.listen()
        ready(f"http://{host}:{listening.getsockname()[1]}/")
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Drops what is logged of requests that the end of the server cut off."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)
