"""ReportService: what the decisions and starts of a period came to."""

from placement.api.reading import Context, Pace, Reader
from placement.core.deciding.ruling import ruling_in_force
from placement.core.reporting.periods import period_of
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, Reporter
from placement.v1 import report_service_pb2 as pb
from placement.v1.report_service_pb2_grpc import ReportServiceServicer
from placement.wire.reports import check_span, decode_report, encode_report


class ReportServicer(ReportServiceServicer):
    """Reports; changes nothing."""

    def __init__(self, reader: Reader, prices: Prices) -> None:
        """Answer from what *reader* gives, and count money by *prices*."""
        self._reader = reader
        self._prices = prices

    async def GetReport(  # noqa: N802 - gRPC's name
        self, request: pb.GetReportRequest, context: Context
    ) -> pb.GetReportResponse:
        """Return what the decisions and starts of a period came to by now.

        Others run meanwhile, and events are folded: a long report may have read the
        beginning of the period a moment before its end.
        """
        query = decode_report(request)
        reader, basis = await self._reader.asked(query.consistency, context)
        state, now_ns = reader.state, basis.answer_time_ns
        end_ns = now_ns if query.end_ns is None else query.end_ns
        check_span(query.start_ns, end_ns)
        policy = ruling_in_force(state, now_ns).policy
        reporter = Reporter(state, reader.topology, self._prices, policy)
        period = period_of(query.start_ns, end_ns)
        pace = Pace()
        for _ in reporter.steps(Question(period, query.group_by, now_ns)):
            await pace.step()
        assert reporter.found is not None, "the last step makes the report"
        return encode_report(reporter.found, policy, basis)
