"""Command: open a local page on which a tap becomes a cutout."""
from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oace_tf.cli import Parser, command, need, typed
from oace_tf.errors import UsageError
from oace_tf.quiet import quiet_libraries

if TYPE_CHECKING:
    from oace_tf.demo.engine import Engine

PROG = "python -m oace_tf.demo"
EXAMPLE = "example: %(prog)s --no-browser --port 8000"
FIRST_PORT, PORTS = 7860, 20
BUILT_FLOAT = Path("build") / "oace_float32.tflite"  # where export/quantize.py writes it
MAX_IMAGE_PIXELS = 2**28  # OpenCV refuses larger pictures before it asks for their memory
# Addresses of the documentation (RFC 5737, RFC 3849), to ask the way out; nobody has them.
ROUTES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=prog, description="Open a local page on which a tap becomes a cutout.",
                    epilog=EXAMPLE)
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen at (default: %(default)s, this machine alone; 0.0.0.0: the whole "
        "network may use it)")
    add("--port", type=int, metavar="N",
        help=f"default: the first free one from {FIRST_PORT} on; 0: any")
    add("--model", type=Path, metavar="FILE", help="int8 file (default: the one in the package)")
    add("--decoder", type=Path, metavar="FILE",
        help="the decoder, where --model names an encoder: the mask then follows the pointer")
    add("--float", type=Path, metavar="FILE", dest="float32",
        help=f"its float twin, timed beside it (default: {BUILT_FLOAT} where it is there)")
    add("--threads", type=int, default=1, metavar="N",
        help="of each interpreter (default: %(default)s)")
    add("--static", type=Path, metavar="DIR",
        help="write the site in which the browser runs the model itself, and end; needs npm")
    add("--no-browser", action="store_true", help="print the address, open nothing")
    parser.set_defaults(prog=prog)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0. Everything that can be refused is refused first."""
    if args.static is not None:
        return _write_site(args)
    need("demo")
    # Read once, when OpenCV is loaded, so before everything below.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_IMAGE_PIXELS))
    import uvicorn

    from oace_tf.demo.web import make_app
    from oace_tf.predict import silence_opencv

    silence_opencv()
    engine = open_engine(args)
    listener = listen(args.host, args.port)
    port = listener.getsockname()[1]
    address = url(args.host, port)
    local = is_loopback(args.host)
    app = make_app(engine, page_facts(engine, args.threads), LOOPBACK if local else None)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none",
                                           lifespan="off", server_header=False))
    print(f"{address} (Ctrl-C ends it)", flush=True)
    for other in phone_addresses(args.host):
        print(f"on a phone in the same network: {url(other, port)}", flush=True)
    if not local:
        print(f"{args.prog}: warning: everybody who reaches this machine's port can use the page",
              file=sys.stderr)
    if not args.no_browser and has_screen():
        threading.Timer(0.5, webbrowser.open, [address]).start()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    return 0


def listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket.

    Args:
      host: an address of this machine.
      port: its port, 0 for any, None for the first free one from 7860 on.
    Raises:
      UsageError: the address is not of this machine, or the port is taken.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port is a number from 0 to 65535")
    wanted = range(FIRST_PORT, FIRST_PORT + PORTS) if port is None else (port,)
    for number in wanted:
        try:
            family, _, _, _, place = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
            return socket.create_server(place[:2], family=family, backlog=64)
        except socket.gaierror as error:
            raise UsageError(f"--host {host}: {error.strerror}; give an address of this machine, "
                             "such as 127.0.0.1") from error
        except OSError as error:
            if number == wanted[-1]:
                ports = f"{number}" if port is not None else f"{wanted[0]} to {number}"
                raise UsageError(f"cannot listen at {host}, port {ports}: {error.strerror}; name "
                                 "another with --port or --host") from error
    raise AssertionError("a range of ports is never empty")


def url(host: str, port: int) -> str:
    """Return the address to open: a wildcard is reached through the loopback."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def phone_addresses(host: str) -> list[str]:
    """Return the addresses at which other devices of the network reach a page at `host`.

    A wildcard stands for every address of this machine. No packet is sent: connecting a datagram
    socket only asks the system which of its addresses it would send from.
    """
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return []
    except ValueError:  # a name
        return []
    addresses = []
    for family, anywhere in ROUTES[:1] if host == "0.0.0.0" else ROUTES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((anywhere, 9))
                own = asked.getsockname()[0]
        except OSError:  # no network of this kind
            continue
        if not is_loopback(own) and not ipaddress.ip_address(own).is_link_local:
            addresses.append(own)
    return addresses


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _write_site(args: argparse.Namespace) -> int:
    """Write the static site; return 0."""
    from oace_tf.demo.static import write_site
    from oace_tf.runtime.model import open_model
    from oace_tf.runtime.split_model import open_split
    from oace_tf.segmenter import model_file

    model = model_file(args.model)
    if args.decoder is None:  # refused here, not in somebody's browser
        open_model(model)
    else:
        open_split(model, args.decoder)
    size = write_site(args.static, model, args.decoder)
    print(f"{args.static}: {size / 1e6:.1f} MB, of which a visitor loads a third; any static host "
          f"will do, such as: python -m http.server -d {args.static}")
    return 0


def open_engine(args: argparse.Namespace) -> Engine:
    """Return the files at work.

    Raises:
      UsageError: a file that was asked for cannot be opened.
    """
    from oace_tf.demo.engine import Engine
    from oace_tf.runtime.model import open_model
    from oace_tf.segmenter import model_file

    int8 = model_file(args.model)
    float32 = args.float32
    if float32 is None and args.model is None and BUILT_FLOAT.is_file():
        with quiet_libraries():
            built, shipped = (open_model(path).metadata for path in (BUILT_FLOAT, int8))
        if built.get("weights_sha256") == shipped.get("weights_sha256"):
            float32 = BUILT_FLOAT
    with quiet_libraries():
        return Engine(int8, float32, args.threads, args.decoder)


def page_facts(engine: Engine, threads: int) -> dict[str, Any]:
    """Return what the page says of the files."""
    path = Path(engine.model.path)
    return {"model": path.name, "size_mb": round(path.stat().st_size / 1e6, 2),
            "weights_sha256": str(engine.model.metadata.get("weights_sha256", "")),
            "max_points": engine.model.max_points, "kinds": known_kinds(engine),
            "encoder": engine.is_split, "threads": threads,
            "has_float": engine.float_model is not None}


def known_kinds(engine: Engine) -> list[str]:
    """Return what the file knows: tap, background, box, extreme, drag."""
    from oace_tf.segmenter import TAPS

    kinds = engine.model.gestures or TAPS
    return sorted(kinds if engine.model.click_channels > 1 else kinds - {"background"})


def has_screen() -> bool:
    """Return whether a window can be opened; elsewhere a text browser would take the terminal."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; return its exit code: 0 ended by Ctrl-C, 2 bad input."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="demo")


if __name__ == "__main__":
    raise SystemExit(main())
