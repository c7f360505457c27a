"""The client's reports: what the decisions and starts of a period came to."""

from typing import TYPE_CHECKING, Final, Unpack

from placement.client.calls import call
from placement.client.freshness import Question, asked
from placement.core.errors import InputError
from placement.v1 import report_service_pb2 as pb

if TYPE_CHECKING:  # the name exists for type checkers alone
    from placement.v1.report_service_pb2_grpc import ReportServiceAsyncStub

GROUPINGS: Final = {
    "": pb.REPORT_GROUPING_UNSPECIFIED,
    "app": pb.REPORT_GROUPING_APP,
    "organization": pb.REPORT_GROUPING_ORGANIZATION,
    "region": pb.REPORT_GROUPING_REGION,
    "week": pb.REPORT_GROUPING_WEEK,
}


class ReportCalls:
    """The part of PlacementClient that asks for reports."""

    _reports: "ReportServiceAsyncStub"
    _timeout_s: float

    async def get_report(
        self,
        start_time_ns: int | None = None,
        end_time_ns: int | None = None,
        *,
        by: str = "",
        **freshness: Unpack[Question],
    ) -> pb.GetReportResponse:
        """Return what the decisions and starts of a period came to by now.

        In nanoseconds since 1970; without an end, until now, and without a start, the
        last seven days. *by* is ``app``, ``organization``, ``region`` or ``week``, or
        empty for the whole alone; raises InputError for another one.
        """
        if by not in GROUPINGS:
            remedy = f"give one of {', '.join(filter(None, GROUPINGS))}"
            raise InputError("by", by, remedy)
        request = pb.GetReportRequest(grouping=GROUPINGS[by], **asked(**freshness))
        if start_time_ns is not None:
            request.start_time.FromNanoseconds(start_time_ns)
        if end_time_ns is not None:
            request.end_time.FromNanoseconds(end_time_ns)
        return await call(self._reports.GetReport, request, self._timeout_s)
