-- The checkpoint of one placement service, for any SQLite tool to read:
--
--   sqlite3 checkpoint.db 'SELECT epoch, sequence, generation FROM checkpoint'
--   sqlite3 checkpoint.db 'SELECT table_name, count(*) FROM chunk GROUP BY 1'
--
-- Do not write to it: a file that does not match its own hashes is refused. A file with
-- other tables than these is refused too, so a change here raises FORMAT in proof.py;
-- comments may change.

CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1), -- one row, always
    format INTEGER NOT NULL,        -- how to read this file
    generation INTEGER NOT NULL,    -- saves since the file was made
    epoch TEXT NOT NULL,            -- which log
    sequence INTEGER NOT NULL,      -- the last message folded
    store_time_ns INTEGER NOT NULL, -- when the log stored it, since 1970
    fold_version INTEGER NOT NULL,  -- by which rules it was folded
    message_hash BLOB NOT NULL,     -- of that message
    root_hash BLOB NOT NULL         -- BLAKE2b-256 over this row and every chunk's hash
) STRICT;

CREATE TABLE chunk (
    table_name TEXT NOT NULL,       -- of the state
    number INTEGER NOT NULL,
    body BLOB NOT NULL,             -- packed rows
    hash BLOB NOT NULL,             -- SHA-256 over name, number and body; see proof.py
    PRIMARY KEY (table_name, number)
) STRICT;
