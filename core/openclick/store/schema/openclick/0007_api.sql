-- What the HTTP API needs: its keys, what it has sent, and the columns by which events are found.

-- digest is the SHA-256 of the secret; the secret itself is kept nowhere.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,                -- the first 12 characters of the secret
    digest BLOB NOT NULL UNIQUE,         -- 32 bytes
    permissions TEXT NOT NULL,           -- full, send_only
    allowed_domains TEXT NOT NULL,       -- JSON array of sending domains; empty means all
    created_at INTEGER NOT NULL,
    revoked_at INTEGER                   -- NULL while it may be used
);

-- Requests that named an Idempotency-Key, for 24 hours.  status_code is NULL until the first answer:
-- where nobody works on such a row, a crash has left it in doubt.
CREATE TABLE idempotency_keys (
    key_id TEXT NOT NULL,                -- api_keys.key_id
    idempotency_key TEXT NOT NULL,
    digest BLOB NOT NULL,                -- SHA-256 of the endpoint and the body
    claimed_at INTEGER NOT NULL,
    status_code INTEGER,
    body BLOB,                           -- the answer's JSON
    PRIMARY KEY (key_id, idempotency_key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_at);

-- The messages of such a request.  Written before the first of them is submitted.
CREATE TABLE email_intents (
    key_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    entry INTEGER NOT NULL,              -- its place in the batch, 0 for a single message
    email_id BLOB NOT NULL,              -- 16 bytes
    accepted_at INTEGER,                 -- when Postfix took it, or NULL
    PRIMARY KEY (key_id, idempotency_key, entry),
    FOREIGN KEY (key_id, idempotency_key)
        REFERENCES idempotency_keys (key_id, idempotency_key) ON DELETE CASCADE
) WITHOUT ROWID;

-- What events are filtered by; the same as in body.
ALTER TABLE events ADD COLUMN message_id TEXT;
ALTER TABLE events ADD COLUMN recipient TEXT;          -- lower case; NULL where it is not certain
ALTER TABLE events ADD COLUMN topic TEXT;
ALTER TABLE events ADD COLUMN campaign TEXT;
UPDATE events SET
    message_id = json_extract(CAST(body AS TEXT), '$.data.message_id'),
    recipient = lower(json_extract(CAST(body AS TEXT), '$.data.recipient')),
    topic = json_extract(CAST(body AS TEXT), '$.data.topic'),
    campaign = json_extract(CAST(body AS TEXT), '$.data.campaign');

-- A page of events is the newest of those that one filter leaves: so each index ends in the instant
-- (and, as every index does, in seq).  Where there is no filter, events_by_occurrence serves.
CREATE INDEX events_by_type ON events (type, occurred_at);
CREATE INDEX events_by_domain ON events (sending_domain, occurred_at);
CREATE INDEX events_by_message_id ON events (message_id, occurred_at) WHERE message_id IS NOT NULL;
CREATE INDEX events_by_recipient ON events (recipient, occurred_at) WHERE recipient IS NOT NULL;
CREATE INDEX events_by_topic ON events (topic, occurred_at) WHERE topic IS NOT NULL;
CREATE INDEX events_by_campaign ON events (campaign, occurred_at) WHERE campaign IS NOT NULL;
DROP INDEX events_by_email;
CREATE INDEX events_by_email ON events (email_id, occurred_at);

-- The tags of events; one event has at most ten.
CREATE TABLE event_tags (
    tag TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,        -- the event's
    seq INTEGER NOT NULL,                -- events.seq
    PRIMARY KEY (tag, occurred_at, seq)
) WITHOUT ROWID;
INSERT OR IGNORE INTO event_tags (tag, occurred_at, seq)
    SELECT tags.value, events.occurred_at, events.seq
    FROM events, json_each(CAST(events.body AS TEXT), '$.data.tags') AS tags;
-- An event's tags go with it.  From its body, because an index by seq would have to be written for
-- every tag, and this is needed once in an event's life.
CREATE TRIGGER event_tags_go AFTER DELETE ON events BEGIN
    DELETE FROM event_tags
    WHERE occurred_at = OLD.occurred_at AND seq = OLD.seq AND tag IN
        (SELECT value FROM json_each(CAST(OLD.body AS TEXT), '$.data.tags'));
END;
