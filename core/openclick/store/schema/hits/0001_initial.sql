-- hits.db: what the sidecar's recorder writes before it answers; append-only.
-- All instants are microseconds since 1970-01-01 UTC.

-- file_id: a random name of this very file, so that a cursor notices another one in its place.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value NOT NULL
);
INSERT INTO meta (key, value) VALUES ('file_id', lower(hex(randomblob(16))));

-- One row for each answered hit.  Holds an address and a user agent: personal data, removed by
-- retention.  No index beside the key: this table takes every hit before it is answered.
CREATE TABLE hits (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    hit_id BLOB NOT NULL,                -- 16 bytes: 6 of time, 10 random; made before the first write
    received_at INTEGER NOT NULL,
    kind TEXT NOT NULL,                  -- 'o' open, 'c' click
    email_id BLOB NOT NULL,              -- 16 bytes
    copy BLOB NOT NULL,                  -- 4 bytes
    link_index INTEGER NOT NULL,
    destination TEXT NOT NULL,           -- empty for an open
    tracking_domain TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    headers TEXT NOT NULL                -- JSON object: the fields that a rule may ask for
);
