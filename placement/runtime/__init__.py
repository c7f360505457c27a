"""The loop that folds the log, and the view of the state that answers read."""
