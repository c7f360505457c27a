"""Answers that were given just now, and hold until something that they rest on changes.

When an image is released, a thousand machines ask for its layers at once. What they
are answered depends on the state, the catalogue and, by the minute, on the time: while
neither moves, the sources are the same, and only the basis is written anew. So nothing
that is kept outlives the position that it was computed at.
"""

from typing import Final

from placement.api.reading import Reader
from placement.core.network import steady_until_ns
from placement.runtime.view import Basis
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import encode_basis

ANSWERS_KEPT: Final = 4_096
"""Of one position; about a kilobyte each."""


class KeptAnswers:
    """What RankSources answered at one position, by question."""

    def __init__(self, reader: Reader) -> None:
        """Begin with none; *reader* says where the state is."""
        self._reader = reader
        self._answers: dict[bytes, bytes] = {}
        self._position = (-1, -1)
        self._until_ns = 0

    def find(
        self, request: pb.RankSourcesRequest, basis: Basis
    ) -> pb.RankSourcesResponse | None:
        """Return the answer of *basis*, if it was computed since anything changed."""
        position, now_ns = self._reader.view.position, basis.answer_time_ns
        if position != self._position or now_ns >= self._until_ns:
            self._answers.clear()
            self._position = position
            self._until_ns = steady_until_ns(self._reader.state, now_ns)
            return None
        kept = self._answers.get(request.SerializeToString())
        if kept is None:
            return None
        response = pb.RankSourcesResponse(basis=encode_basis(basis))
        response.MergeFromString(kept)
        return response

    def keep(
        self, request: pb.RankSourcesRequest, response: pb.RankSourcesResponse
    ) -> None:
        """Keep the answer of the basis that ``find`` was just asked for."""
        if len(self._answers) >= ANSWERS_KEPT:
            self._answers.clear()
        kept = pb.RankSourcesResponse()
        kept.CopyFrom(response)
        kept.ClearField("basis")
        self._answers[request.SerializeToString()] = kept.SerializeToString()
