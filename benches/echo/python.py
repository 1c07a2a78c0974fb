"""A Protocol, the fastest that asyncio has; HOST:PORT WORKERS."""

import asyncio
import sys


class Echo(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self.write = transport.write

    def data_received(self, data):
        self.write(data)


async def serve():
    host, port = sys.argv[1].rsplit(":", 1)
    server = await asyncio.get_running_loop().create_server(Echo, host, int(port), backlog=4096)
    await server.serve_forever()


asyncio.run(serve())
