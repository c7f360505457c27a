"""The keys about other services on the same log: what is taken from them, and given."""

from typing import Annotated

from pydantic import AfterValidator

from placement.config.values import Section, said, split_address

_MEBIBYTE = 1024**2


def _peers(text: str) -> str:
    for peer in text.split(",") if text else ():
        split_address(peer)
    return text


class BootstrapConfig(Section):
    """A checkpoint from a peer, in place of a log that would take long to fold."""

    peers: Annotated[
        str,
        AfterValidator(_peers),
        said("services to take it from, HOST:PORT, several with commas; empty: none"),
    ] = ""
    behind_messages: Annotated[
        int,
        said(
            "of the log, a checkpoint that lacks more is replaced, 1 to 2^62",
            ge=1,
            le=2**62,
        ),
    ] = 1_000_000
    seconds_max: Annotated[
        float,
        said(
            "seconds for all of it, 1 to 86,400; then the log is folded",
            ge=1,
            le=86_400,
        ),
    ] = 600.0
    bytes_max: Annotated[
        int, said("the largest checkpoint that is taken, bytes", ge=1, le=2**62)
    ] = 64 * 1024 * _MEBIBYTE
    streams_max: Annotated[
        int,
        said("how many peers may read ours at once, 0 to 16; 0: none", ge=0, le=16),
    ] = 2
    bytes_per_second: Annotated[
        int,
        said(
            "how fast each may read it, 65,536 to 2^40 bytes per second",
            ge=65_536,
            le=2**40,
        ),
    ] = 64 * _MEBIBYTE
