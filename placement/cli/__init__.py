"""The commands: thin, each in a module of its own and imported when it is called."""
