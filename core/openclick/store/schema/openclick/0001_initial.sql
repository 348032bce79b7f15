-- openclick.db: what the sidecar and the command write; the milter only reads its domains.
-- All instants are microseconds since 1970-01-01 UTC.

-- What this file is.  generation grows with every change of a domain: a daemon that holds domains
-- in memory reads them again when it has grown.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value NOT NULL
);
INSERT INTO meta (key, value) VALUES ('generation', 1);

-- Sending domains.  verified_at is NULL while the tracking domain is not verified; failure_code
-- and failure_message tell what the last check that failed has found.
CREATE TABLE domains (
    domain_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,           -- A-label, lower case
    opens_enabled INTEGER NOT NULL,
    clicks_enabled INTEGER NOT NULL,
    subdomain TEXT NOT NULL,             -- prefix of the tracking domain, relative to name
    created_at INTEGER NOT NULL,
    verified_at INTEGER,
    checked_at INTEGER,
    failure_code TEXT,
    failure_message TEXT
);

-- One row for each judged hit, dropped ones too; unique by hit_id, so a hit judged twice counts
-- once.  Holds an address and a user agent's words: personal data, removed by retention.
CREATE TABLE verdicts (
    hit_id BLOB PRIMARY KEY,             -- 16 bytes
    judged_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    kind TEXT NOT NULL,                  -- 'o' open, 'c' click
    email_id BLOB NOT NULL,              -- 16 bytes
    copy BLOB NOT NULL,                  -- 4 bytes
    link_index INTEGER NOT NULL,
    ip TEXT NOT NULL,
    visitor TEXT NOT NULL,               -- person, proxy, prefetch, automation
    rule TEXT NOT NULL,
    evidence TEXT NOT NULL,
    source TEXT NOT NULL,                -- the image proxy's owner, or empty
    event_id TEXT                        -- NULL for a dropped hit
);
CREATE INDEX verdicts_by_email ON verdicts (email_id, received_at);

-- The event log.  body is the finished JSON that every webhook gets.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,       -- evt_ and 32 hex digits
    type TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    email_id BLOB NOT NULL,
    sending_domain TEXT,                 -- NULL where the message row was gone
    body BLOB NOT NULL
);
CREATE INDEX events_by_email ON events (email_id);

-- How far the judge has read hits.db.  A shortcut only: uniqueness of hit_id is what counts.
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    file_id TEXT NOT NULL,
    position INTEGER NOT NULL
);

-- Receivers of events.  cursor is the last event (events.seq) that was put into a delivery.
CREATE TABLE webhooks (
    webhook_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,                -- JSON array of event names
    domains TEXT NOT NULL,               -- JSON array of sending domains; empty means all
    secret TEXT NOT NULL,
    status TEXT NOT NULL,                -- active, disabled
    created_at INTEGER NOT NULL,
    cursor INTEGER NOT NULL
);

-- One batch of events to one webhook.  next_attempt_at is moved on before each POST, so that a
-- crash repeats an attempt late rather than at once.
CREATE TABLE deliveries (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id TEXT NOT NULL REFERENCES webhooks (webhook_id) ON DELETE CASCADE,
    batch_id TEXT NOT NULL UNIQUE,       -- 32 hex digits, the same over all attempts
    state TEXT NOT NULL,                 -- pending, delivered, abandoned
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER                  -- NULL while pending
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, state, next_attempt_at);

CREATE TABLE delivery_events (
    delivery_id INTEGER NOT NULL REFERENCES deliveries (delivery_id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,                -- events.seq
    PRIMARY KEY (delivery_id, seq)
) WITHOUT ROWID;

-- One POST.  Written before it is made; finished_at is NULL while it runs, and stays so where the
-- sidecar died meanwhile.
CREATE TABLE attempts (
    delivery_id INTEGER NOT NULL REFERENCES deliveries (delivery_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,             -- 1 for the first
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    status_code INTEGER,                 -- NULL where no answer came
    error TEXT NOT NULL DEFAULT '',
    excerpt TEXT NOT NULL DEFAULT '',    -- the beginning of the answer's body
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;
