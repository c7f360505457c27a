"""A registry's own API (OCI distribution-spec 1.1), as a client of it sees it."""
