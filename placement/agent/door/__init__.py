"""The local door: the placement API on this machine, answered from a replica."""
