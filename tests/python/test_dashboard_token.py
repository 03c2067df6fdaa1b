"""To whom the dashboard's part sends the cluster's token: a real HTTP server on this host gets it, another address nothing."""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="Ray's dashboard brings it")
from aiohttp import web  # noqa: E402
from aiohttp.test_utils import make_mocked_request  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "raylet_bridge" / "python"))

from netsense_ray import dashboard  # noqa: E402

TOKEN = "the cluster's token"


@pytest.fixture
def ray_token(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)


class Session:
    """Asks nobody, and keeps what it would have sent."""

    def __init__(self):
        self.sent = []

    async def get(self, url, headers, **_):
        self.sent.append((str(url), headers.get("Authorization")))
        raise aiohttp.ClientError("asks nobody")


def module(api, session, directory, gcs_address="10.77.0.1:6379"):
    async def get(*_, **__):
        return api if isinstance(api, bytes) else json.dumps(api).encode()

    gcs_client = SimpleNamespace(async_internal_kv_get=get)
    return SimpleNamespace(gcs_client=gcs_client, gcs_address=gcs_address, session_dir=str(directory), http_session=session)


def ask(module):
    response = asyncio.run(dashboard.answer(module, make_mocked_request("GET", "/api/v0/network_topology")))
    return response.status, json.loads(response.body)["msg"]


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "localhost", "elsewhere.example", "10.77.0.1.elsewhere.example", ""])
def test_another_address_gets_nothing(address, directory, ray_token):
    session = Session()
    code, message = ask(module({"address": address, "port": 18591}, session, directory))
    assert session.sent == [] and code == 503
    assert address == "" or ("the token is not sent there" in message and address in message and "netsense_ray up" in message)


@pytest.mark.parametrize("record", [b"[" * 100_000, b'{"address":1e999,"port":' + b"[" * 100_000, b"\xff", b"[]", b'{"address":1,"port":[]}'])
def test_a_record_that_is_none_is_said_to_be_none(record, directory, ray_token):
    session = Session()
    code, message = ask(module(record, session, directory))
    assert session.sent == [] and code == 503 and "does not name a bridge" in message


@pytest.mark.parametrize(
    "address, gcs", [("192.0.2.7", "192.0.2.7:6379"), ("2001:db8::7", "[2001:db8::7]:6379"), ("head.example", "head.example:6379")]
)
def test_the_gcs_s_host_gets_it(address, gcs, directory, ray_token):
    session = Session()
    ask(module({"address": address, "port": 18591}, session, directory, gcs))
    assert [token for _, token in session.sent] == [f"Bearer {TOKEN}"]


def test_a_server_of_this_host_gets_it(directory, ray_token):
    async def exchange():
        seen = []

        async def handle(request):
            seen.append(request.headers.get("Authorization"))
            return web.Response(status=401)

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            request = make_mocked_request("GET", "/api/v0/network_topology")
            await dashboard.answer(module({"address": "127.0.0.1", "port": port}, session, directory), request)
        await runner.cleanup()
        return seen

    assert asyncio.run(exchange())[0] == f"Bearer {TOKEN}"
