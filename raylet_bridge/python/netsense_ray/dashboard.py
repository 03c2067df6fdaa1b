"""What netsense answers on Ray's dashboard: the HTTP API and the page of the head's bridge, passed on.

Runs in the process that Ray's dashboard starts for `ray.dashboard.modules.netsense`; nothing else imports it. Ray has checked its own
token by then.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from .deadlines import PASSED_ON_S
from .private_file import read_secret

PAGE = "/network"  # where the page of the bridge's `/` stands on the dashboard

# Ray's proxy in front of us unpacks a body but keeps its headers: what is packed here must leave unpacked.
_NOT_PASSED_ON = {"connection", "content-encoding", "date", "keep-alive", "server", "transfer-encoding"}


class Unavailable(Exception):
    """There is nothing to pass on; the text says why, and what to do."""


async def answer(module: Any, request: web.Request) -> web.StreamResponse:
    """The bridge's answer to `request`; 503 in Ray's envelope when there is none. `module` is Ray's SubprocessModule."""
    path = request.raw_path  # with the query, and quoted as it came
    if request.path == PAGE:  # the page's own links are relative, and so is this one: the dashboard may stand below a path of a proxy
        return web.Response(status=302, headers={"Location": "network/"})
    try:
        api = await _bridge_api(module)
        _check_is_here(module, api)
        return await _pass_on(module, request, api, path.removeprefix(PAGE) if path.startswith(f"{PAGE}/") else path)
    except Unavailable as error:
        return web.json_response({"result": False, "msg": str(error), "data": {}}, status=503)


async def _bridge_api(module: Any) -> URL:
    try:
        get = module.gcs_client.async_internal_kv_get(b"http_api", namespace=b"network_sense", timeout=PASSED_ON_S)
        record = await asyncio.wait_for(get, PASSED_ON_S)
    except Exception as error:
        raise Unavailable(f"Ray's GCS does not say where the bridge is: {error!r}") from error
    if record is None:
        raise Unavailable("netsense does not run on this cluster: start it with `python -m netsense_ray up`")
    try:
        api = json.loads(record)
        return URL.build(scheme="http", host=api["address"], port=api["port"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unavailable(f"the key http_api in Ray's KV does not name a bridge ({error!r}): `python -m netsense_ray up` writes it anew") from error


def _check_is_here(module: Any, api: URL) -> None:
    """Many may write to Ray's KV: what they name there gets the cluster's token only where the head is, which is this host."""
    host = api.host or ""
    gcs_host = str(module.gcs_address).rpartition(":")[0].strip("[]")
    if host != gcs_host and not _is_of_this_host(host):
        raise Unavailable(
            f"the key http_api in Ray's KV names {api}, which is neither this host nor the GCS's ({gcs_host}): the token is not sent there. "
            "`python -m netsense_ray up` writes the key anew"
        )


def _is_of_this_host(address: str) -> bool:
    """Never looks a name up: it may stand for another address a moment later."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


async def _pass_on(module: Any, request: web.Request, api: URL, path: str) -> web.StreamResponse:
    refused = "it asks for a token, and there is none here"
    for headers, origin in _authorizations(Path(module.session_dir)):
        try:
            answered = await module.http_session.get(
                URL(f"{api}{path}", encoded=True),
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=PASSED_ON_S, sock_read=PASSED_ON_S),
            )
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise Unavailable(
                f"the bridge of the head, {api}, does not answer ({error!r}): "
                "`python -m netsense_ray status` shows what runs, `python -m netsense_ray up` starts what is missing"
            ) from error
        async with answered:
            if answered.status not in (401, 403):
                return await _stream(request, answered)
            refused = f"it refuses the token of {origin}" if origin else refused
    raise Unavailable(
        f"the bridge of the head, {api}, does not know the dashboard: {refused}. Start both with the same token: `python -m netsense_ray up` does, "
        "or name its file by NETSENSE_TOKEN_FILE where `ray start --head` runs"
    )


async def _stream(request: web.Request, answered: aiohttp.ClientResponse) -> web.StreamResponse:
    packed = "Content-Encoding" in answered.headers
    response = web.StreamResponse(status=answered.status, reason=answered.reason)
    for name, value in answered.headers.items():
        if name.lower() not in _NOT_PASSED_ON and not (packed and name.lower() == "content-length"):
            response.headers.add(name, value)
    await response.prepare(request)
    try:
        async for piece in answered.content.iter_any():
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
        # The head of the answer is gone: only an end that comes too early can still say that something went wrong.
        if request.transport is not None:
            request.transport.abort()
    return response


def _authorizations(session: Path) -> Iterator[tuple[Mapping[str, str], str]]:
    """What the bridge may take, likeliest first, and where it comes from; last, for a bridge without a token, nothing."""
    for token, origin in _tokens(session):
        yield {"Authorization": f"Bearer {token}"}, origin
    yield {}, ""


def _tokens(session: Path) -> Iterator[tuple[str, str]]:
    """Ray's own token where Ray has one, then that of `python -m netsense_ray up`, then the one a person named."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        yield token, "RAY_AUTH_TOKEN"
    ray_file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    named = os.environ.get("NETSENSE_TOKEN_FILE")
    for path in (ray_file, session / "netsense" / "token", Path(named) if named else None):
        if path is None:
            continue
        try:
            text = path.read_text() if path == ray_file else read_secret(path)  # Ray reads its own whatever its mode
            first_line = text.partition("\n")[0].strip()
        except OSError:
            continue
        if first_line:
            yield first_line, str(path)
