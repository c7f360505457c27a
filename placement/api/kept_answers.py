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
from placement.wire.answers import encode_basis

ANSWERS_KEPT: Final = 4_096
"""Of one position; about a kilobyte each."""
BODY_KEPT_MAX: Final = 2_048
"""Bytes of a request: one of ours is far shorter, however long its names are."""
BYTES_KEPT_MAX: Final = 8 * 1_048_576
"""Of requests and answers together."""
BASIS_KEPT_NS: Final = 5_000_000
"""Answers within five milliseconds are of one time, as their basis says."""


class KeptAnswers:
    """What RankSources answered at one position, by request, both as they travel."""

    def __init__(self, reader: Reader) -> None:
        """Begin with none; *reader* says where the state is."""
        self._view = reader.view
        self._answers: dict[bytes, bytes] = {}
        self._kept_bytes = 0
        self._position = (-1, -1)
        self._since_ns = self._until_ns = 0
        self._basis = b""
        self._basis_ns = self._basis_revision = -1

    def find(self, body: bytes) -> bytes | None:
        """Return the answer, of a basis of now, if it was computed since any change."""
        view = self._view
        now_ns = view.now_ns()
        steady = self._since_ns <= now_ns < self._until_ns
        position = view.position
        if position != self._position or not steady:
            self._forget()
            self._position = position
            self._since_ns, self._basis_revision = now_ns, -1
            self._until_ns = steady_until_ns(view.state, now_ns)
            return None
        kept = self._answers.get(body)
        if kept is None:
            return None
        recent = 0 <= now_ns - self._basis_ns < BASIS_KEPT_NS
        if not recent or view.revision != self._basis_revision:
            basis = view.basis()
            self._basis = pb.RankSourcesResponse(
                basis=encode_basis(basis)
            ).SerializeToString()
            self._basis_ns, self._basis_revision = basis.answer_time_ns, view.revision
        return kept + self._basis

    def keep(
        self,
        body: bytes,
        request: pb.RankSourcesRequest,
        response: pb.RankSourcesResponse,
    ) -> None:
        """Keep an answer of now, unless its request also asks for a freshness.

        Of an answer about the past nothing is kept: it does not change with the state.

        What a request holds beyond its known fields is its sender's to choose, and is
        kept with it: so it is not for a longer one.
        """
        if len(body) > BODY_KEPT_MAX:
            return
        if request.consistency.ByteSize() or request.HasField("as_of"):
            return
        if self._view.position != self._position:
            return
        kept = pb.RankSourcesResponse()
        kept.CopyFrom(response)
        kept.ClearField("basis")
        answer = kept.SerializeToString()
        self._kept_bytes += len(body) + len(answer)
        full = self._kept_bytes > BYTES_KEPT_MAX
        if full or len(self._answers) >= ANSWERS_KEPT:
            self._forget()
            self._kept_bytes = len(body) + len(answer)
        self._answers[body] = answer

    def _forget(self) -> None:
        self._answers.clear()
        self._kept_bytes = 0
