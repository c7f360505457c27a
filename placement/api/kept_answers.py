"""Answers that were given just now, and hold until something that they rest on changes.

When an image is released, a thousand machines ask for its layers at once. What they
are answered depends on the state, the catalogue and, by the minute, on the time: while
neither moves, the sources are the same, and only the basis is written anew. So nothing
that is kept outlives the position that it was computed at.
"""

from typing import Final

from placement.api.reading import Reader
from placement.core.network import steady_until_ns
from placement.v1 import placement_service_pb2 as pb
from placement.wire.rank_answers import BasisWriter

ANSWERS_KEPT: Final = 4_096
"""Of one position; about a kilobyte each."""


class KeptAnswers:
    """What RankSources answered at one position, by request, both as they travel."""

    def __init__(self, reader: Reader) -> None:
        """Begin with none; *reader* says where the state is."""
        self._reader = reader
        self._basis = BasisWriter()
        self._answers: dict[bytes, bytes] = {}
        self._position = (-1, -1)
        self._until_ns = 0

    def find(self, body: bytes) -> bytes | None:
        """Return the answer, of a basis of now, if it was computed since any change."""
        view = self._reader.view
        basis = view.basis()
        now_ns = basis.answer_time_ns
        if view.position != self._position or now_ns >= self._until_ns:
            self._answers.clear()
            self._position = view.position
            self._until_ns = steady_until_ns(view.state, now_ns)
            return None
        kept = self._answers.get(body)
        return None if kept is None else kept + self._basis.written(basis)

    def keep(
        self,
        body: bytes,
        request: pb.RankSourcesRequest,
        response: pb.RankSourcesResponse,
    ) -> None:
        """Keep an answer of now, unless its request also asks for a freshness."""
        if (
            request.consistency.ByteSize()
            or self._reader.view.position != self._position
        ):
            return
        if len(self._answers) >= ANSWERS_KEPT:
            self._answers.clear()
        kept = pb.RankSourcesResponse()
        kept.CopyFrom(response)
        kept.ClearField("basis")
        self._answers[body] = kept.SerializeToString()
