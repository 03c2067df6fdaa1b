"""Lets a program outside of a lab reach a server in one of its nodes: a browser cannot be moved into a namespace.

A socket belongs to the namespace that it was made in. So the listener is made out here, and the process that serves it runs in the node.
"""

import asyncio
import socket
import subprocess
import sys


class Relay:
    """`with Relay(lab, 1, "10.77.0.1", 18591) as relay`: relay.address is "127.0.0.1:PORT"."""

    def __init__(self, lab, node, host, port):
        self._lab, self._node, self._target = lab, node, (host, port)

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = f"127.0.0.1:{listener.getsockname()[1]}"
            fd = listener.fileno()
            command = [sys.executable, __file__, fd, *self._target]
            self._process = self._lab.popen(self._node, command, pass_fds=(fd,), stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


async def _pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _serve(fd, host, port):
    async def connect(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    server = await asyncio.start_server(connect, sock=socket.socket(fileno=fd))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
