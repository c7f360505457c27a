"""Who calls, and what that allows: identities, one table, and the gate before calls."""
