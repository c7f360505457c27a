"""The keys of ``[past]``: how much questions about the past may cost."""

from typing import Annotated, Final

from placement.config.values import Section, said

_GIBIBYTE: Final = 1024**3


class PastConfig(Section):
    """States of earlier messages, for requests with as_of; see docs/time-travel.md."""

    states_max: Annotated[
        int,
        said(
            "states in memory, each as large as the live one, 0 to 16; 0: none, and no"
            " question about the past is answered",
            ge=0,
            le=16,
        ),
    ] = 2
    messages_max: Annotated[
        int,
        said(
            "messages that are folded for one question, 1 to 2^62; what is further from"
            " a checkpoint is refused",
            ge=1,
            le=2**62,
        ),
    ] = 1_000_000
    checkpoint_bytes_max: Annotated[
        int,
        said(
            "bytes of older checkpoints kept on the disk, so that little is to be"
            " folded, 0 to 2^50; 0: none",
            ge=0,
            le=2**50,
        ),
    ] = _GIBIBYTE
    caller_folds_max: Annotated[
        int,
        said("folds that one caller may wait for at once, 1 to 16", ge=1, le=16),
    ] = 4
    idle_seconds: Annotated[
        float,
        said(
            "seconds after which a state goes that nobody asked for, 0 to 86,400;"
            " 0: when others need its room",
            ge=0,
            le=86_400,
        ),
    ] = 600.0
