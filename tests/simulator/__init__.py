"""A deterministic simulator: the real service in a world that fails, by a seed.

``python -m tests.simulator --seed 7 --trace`` runs one seed and prints what happened;
``--count`` runs many, ``--bug`` plants one of ``bugs``. The same seed leads to the same
trace, on any machine and under any hash seed: there is no thread, no socket and no real
time in a run, and one ``Random`` decides everything.

What is real: projector, view, publisher, watch hub, planner, the fold, the wire; of
agents the receiver, the feeds, the sender, the inventory, the replicator, the local
replica and the router. What is simulated: time and the order of tasks (``loop``),
processes that are killed or paused between any two awaits (``process``), the log and
the ways to it (``log``), the disk and what is kept on it (``disk``, ``store``,
``records``, ``spool``), the network between actors and replicas (``world``,
``replica``), the broker's queue of decisions (``work_queue``), registries (``shelf``),
the ways to them and from them (``registries``, ``relays``, ``notifier``), and clients'
connections (``mouths``).

There are two kinds of worlds, and the seed says which: in one, publishers make facts up
(``workload``); in the other all facts come from registries that people use
(``traffic``) or pull from through routers (``pullers``), by the agents beside them
(``site``, ``agents``).

A run has a phase with faults of all kinds together (``chaos``) and one without new
ones, in which all replicas must become LIVE and equal, and all actors settled. Then
``checker`` holds the history, written by those who used the service, against fresh
replays of every log that there was.

To add an actor: write a class with the two methods of ``cluster.Actor``. ``run`` acts
for ever and draws all chance from ``cluster.world.random``; it reaches a service only
through ``Replica.ask`` (or a task that it spawns in ``service.process``), where
LostError means that nobody knows what happened. ``settled`` says when it has nothing
left to do. What it was told goes into ``cluster.world.history``, as a record of its own
in ``history``; a rule in ``checker`` says what must never be in there. Then add it to
``simulation._publishers`` or ``agents.Regions``. To add a part of the service, build
it in ``Replica._made``.

Iterate over nothing whose order is not fixed (sets of strings, for one): a test runs
seeds under two hash seeds. A run must never wait for a thread: ``asyncio.to_thread``
and executors fail in this loop.
"""
