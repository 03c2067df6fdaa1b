"""netsense on Ray's dashboard: installed as ray/dashboard/modules/netsense.

Ray imports this file on every node: in its dashboard, and in each node's agent, with which the raylet dies. So nothing here may fail,
whatever Ray is there, and nothing of netsense is imported: what answers is `netsense_ray.dashboard`, which only the process that Ray
starts for this module loads, at the first request, where a fault of it costs that one answer.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


async def _answer(module: Any, request: Any) -> Any:
    try:
        from netsense_ray import dashboard

        return await dashboard.answer(module, request)
    except (Exception, SystemExit) as error:
        logger.exception("netsense could not answer %s", request.path)
        from aiohttp import web

        message = f"netsense's part of the dashboard is broken ({error!r}): install ray-netsense anew; the log is dashboard_NetworkHead.log"
        return web.json_response({"result": False, "msg": message, "data": {}}, status=500)


try:
    from ray.dashboard.subprocesses.module import SubprocessModule
    from ray.dashboard.subprocesses.routes import SubprocessRouteTable
    from ray.dashboard.subprocesses.utils import ResponseType

    def _get(path: str, kind: ResponseType = ResponseType.STREAM) -> Any:
        return SubprocessRouteTable.get(path, resp_type=kind)

    # The name becomes a Unix socket's, whose path is short: no longer than the longest of Ray's own (MetricsHead).
    # The class comes last and brings no method that Ray calls while it starts: once it exists, nothing of ours can fail.
    class NetworkHead(SubprocessModule):
        @_get("/api/v0/{what:network_(?:topology|matrix|edge|node)}")
        async def network_api(self, request: Any) -> Any:
            return await _answer(self, request)

        @_get("/network", ResponseType.HTTP)  # a redirection, which Ray's streaming proxy would follow itself
        async def network_page_without_slash(self, request: Any) -> Any:
            return await _answer(self, request)

        @_get("/network/{path:.*}")
        async def network_page(self, request: Any) -> Any:
            return await _answer(self, request)

except (Exception, SystemExit) as error:  # Ray without its dashboard, or with another kind of modules
    logger.info("netsense is not on this dashboard: %r", error)
