-- The milter's heartbeat, and what the per-recipient split tells about a copy.

-- One row, rewritten every ten seconds by the running milter; the sidecar shows it.
CREATE TABLE heartbeat (
    name TEXT PRIMARY KEY,               -- 'milter'
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    counters TEXT NOT NULL               -- JSON object: counts since started_at
);

-- From the first Received field, where a copy came by way of the split: information for the admin,
-- never a permission, since any local process can write such a field.
ALTER TABLE messages ADD COLUMN first_queue_id TEXT;   -- the id that the app was given in its 250
ALTER TABLE messages ADD COLUMN login TEXT;            -- the authenticated sender
-- Most rows have none, and are spared the page.
CREATE INDEX messages_by_first_queue_id ON messages (first_queue_id)
    WHERE first_queue_id IS NOT NULL;
