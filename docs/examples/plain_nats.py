"""The event log with nothing but NATS: what to send, for a client in any language.

python docs/examples/plain_nats.py nats://127.0.0.1:4222

The server keeps the position, in a durable consumer called `analyst`, the name that
`placement nats-config` gives analysts the right to. Messages that are not acknowledged
within thirty seconds come again: do your work first, and do it so that twice is once
(keep the event ids). When the stream is made anew, its consumers are gone with it: keep
`created` of the consumer, and begin again when it is another one.
"""

import asyncio
import json
import sys

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

STREAM = "PLACEMENT_V1"
NAME = "analyst"
SECOND = 1_000_000_000

# Request this, as JSON, on $JS.API.CONSUMER.DURABLE.CREATE.PLACEMENT_V1.analyst:
CONSUMER = {
    "stream_name": STREAM,
    "config": {
        "durable_name": NAME,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": 30 * SECOND,
        "max_deliver": -1,
        "max_ack_pending": 1_000,
        "replay_policy": "instant",
        "filter_subject": "placement.events.v1.>",
    },
}
# Then this, again and again, on $JS.API.CONSUMER.MSG.NEXT.PLACEMENT_V1.analyst, with a
# reply subject that you subscribe to:
NEXT = {"batch": 100, "expires": 2 * SECOND}
# A message's reply subject is where its acknowledgement goes: publish "+ACK" there. Its
# tokens tell, among others, the sequence in the stream. Without a reply subject, or with
# a Status header, it is no message but the end of what there is.
ACK = b"+ACK"
SEQUENCE_FROM_THE_END = 4


def sequence_of(message: Msg) -> int:
    """Return where the stream holds a message."""
    return int(message.reply.split(".")[-SEQUENCE_FROM_THE_END])


async def asked(client: Client, subject: str, body: object) -> dict[str, object]:
    """Return the answer to a request of JetStream's."""
    answer = await client.request(subject, json.dumps(body).encode(), timeout=5)
    told: dict[str, object] = json.loads(answer.data)
    if "error" in told:
        raise SystemExit(f"{subject}: {told['error']}")
    return told


async def main(url: str, *, follow: bool = True) -> None:
    """Print each message's sequence, subject and length, and acknowledge it."""
    client = await nats.connect(url)
    made = await asked(
        client, f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{NAME}", CONSUMER
    )
    print(f"consumer created {made['created']}", file=sys.stderr)
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    more = True
    while more:
        body = json.dumps(NEXT).encode()
        await client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{NAME}", body, reply=inbox
        )
        waiting = NEXT["batch"]
        while waiting:
            message = await answers.next_msg(timeout=30)
            if message.headers and "Status" in message.headers:
                more = follow  # 404 or 408: there is nothing newer now
                break
            print(sequence_of(message), message.subject, len(message.data), flush=True)
            await client.publish(message.reply, ACK)
            waiting -= 1
    await client.drain()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], follow="--once" not in sys.argv))
