"""The registry mirror that machines of a region pull from, and push to."""
