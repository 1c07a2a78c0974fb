"""The rivals that more than one problem has: where they come from, and what their programs are built with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Rival:
    """`package`: the Debian package that it is in, whose version its name gets."""

    package: str
    flags: tuple = ()  # of the C or C++ compiler
    crates: tuple = ()  # lines for [dependencies]
    workers: tuple = None  # how many it can use; None: any number


RIVALS = {
    "Asio": Rival("libasio-dev", flags=("-DASIO_STANDALONE",)),
    "Boost.Fiber": Rival("libboost-fiber1.81-dev", flags=("-lboost_fiber", "-lboost_context")),
    "Go": Rival("golang-1.19-go"),
    "Rayon": Rival("librust-rayon-dev", crates=('rayon = "1"',)),
    "Tokio": Rival(
        "librust-tokio-dev",
        crates=('tokio = {version = "1", features = ["rt-multi-thread", "sync", "time", "net", "io-util"]}',),
    ),
    "asyncio": Rival("python3.11", workers=(1,)),
    "hyper": Rival(
        "librust-hyper-dev",
        crates=(
            'hyper = {version = "0.14", features = ["http1", "server"]}',
            'tokio = {version = "1", features = ["rt-multi-thread", "net"]}',
        ),
    ),
    "libuv": Rival("libuv1-dev", flags=("-luv",), workers=(1,)),
    "oneTBB": Rival("libtbb-dev", flags=("-ltbb",)),
    "uvloop": Rival("python3-uvloop", workers=(1,)),
}
