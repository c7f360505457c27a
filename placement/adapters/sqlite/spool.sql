-- The agent's spool, format 1: what waits to be sent, what was sent, what cannot be.

-- Numbers are never used twice: the order in which entries came.
CREATE TABLE entry (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  feed TEXT NOT NULL,
  headers TEXT NOT NULL, -- a JSON object
  received_ns INTEGER NOT NULL,
  body BLOB NOT NULL,
  checksum INTEGER NOT NULL, -- CRC-32 of the body
  epoch TEXT, -- the log that it was sent to; NULL while it waits
  sequence INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX entry_waiting ON entry (number) WHERE epoch IS NULL;
CREATE INDEX entry_kept ON entry (number) WHERE epoch IS NOT NULL;

-- For people: the oldest go first.
CREATE TABLE aside (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  feed TEXT NOT NULL,
  headers TEXT NOT NULL,
  received_ns INTEGER NOT NULL,
  body BLOB NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

-- One row: how much there is, what counts from the first day, where our last message is.
CREATE TABLE total (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  waiting_count INTEGER NOT NULL,
  waiting_bytes INTEGER NOT NULL,
  kept_count INTEGER NOT NULL,
  kept_bytes INTEGER NOT NULL,
  sent_count INTEGER NOT NULL,
  set_aside_count INTEGER NOT NULL,
  epoch TEXT NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;
INSERT INTO total VALUES (1, 0, 0, 0, 0, 0, 0, '', 0);

CREATE TRIGGER entry_came AFTER INSERT ON entry BEGIN
  UPDATE total SET
    waiting_count = waiting_count + 1,
    waiting_bytes = waiting_bytes + length(new.body);
END;
CREATE TRIGGER entry_sent AFTER UPDATE OF epoch ON entry
WHEN old.epoch IS NULL AND new.epoch IS NOT NULL BEGIN
  UPDATE total SET
    waiting_count = waiting_count - 1,
    waiting_bytes = waiting_bytes - length(new.body),
    kept_count = kept_count + 1,
    kept_bytes = kept_bytes + length(new.body),
    sent_count = sent_count + 1;
END;
CREATE TRIGGER entry_waits_again AFTER UPDATE OF epoch ON entry
WHEN old.epoch IS NOT NULL AND new.epoch IS NULL BEGIN
  UPDATE total SET
    waiting_count = waiting_count + 1,
    waiting_bytes = waiting_bytes + length(new.body),
    kept_count = kept_count - 1,
    kept_bytes = kept_bytes - length(new.body);
END;
CREATE TRIGGER entry_left AFTER DELETE ON entry WHEN old.epoch IS NULL BEGIN
  UPDATE total SET
    waiting_count = waiting_count - 1,
    waiting_bytes = waiting_bytes - length(old.body);
END;
CREATE TRIGGER entry_forgotten AFTER DELETE ON entry WHEN old.epoch IS NOT NULL BEGIN
  UPDATE total SET
    kept_count = kept_count - 1,
    kept_bytes = kept_bytes - length(old.body);
END;
CREATE TRIGGER aside_came AFTER INSERT ON aside BEGIN
  UPDATE total SET set_aside_count = set_aside_count + 1;
END;
