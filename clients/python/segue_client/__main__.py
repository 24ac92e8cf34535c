"""``python -m segue_client``: the version, and the proto for clients in other languages."""

from __future__ import annotations

import argparse
from pathlib import Path

from segue_client.publish import copy_proto
from segue_client.version import __version__


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; ends the process with 2 where it was asked for nothing that there is."""
    parser = argparse.ArgumentParser(prog="python -m segue_client", description=__doc__)
    parser.add_argument("--version", action="version", version=f"segue-client {__version__}")
    commands = parser.add_subparsers(required=True)
    proto = commands.add_parser("proto", help="copy the proto of the lookup service")
    proto.add_argument("folder", type=Path, metavar="DIR", help="folder that it is written under")
    for path in copy_proto(parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
