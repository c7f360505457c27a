"""The pure part: events fold into state, and questions are answered from it.

Nothing here knows a clock, a file, a socket, a log or protobuf. Times are integers in
nanoseconds since 1970 (UTC) and are passed in; sizes are integers in bytes.
"""
