"""What is told of a message that is traced: the core knows of no trace."""

from placement.ports import Message
from placement.tracing import Traces, sampled, told


def tell_folded(traces: Traces | None, message: Message) -> None:
    """Tell how long a sampled message was on its way from the log into the state.

    And note it in *traces*, for what follows from it; None: nobody sees the state.
    """
    if not message.trace or traces is None or not sampled(message.trace):
        return
    sequence = message.sequence
    context = told("fold", message.trace, message.store_time_ns, sequence=sequence)
    traces.note(sequence, context or message.trace)
