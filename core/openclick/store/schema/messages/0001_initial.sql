-- messages.db: what the milter writes, and the sidecar and the command read.
-- All instants are microseconds since 1970-01-01 UTC.

-- One row for each copy (pass through the milter) of a message of an added domain, instrumented or
-- not.  Holds addresses and subjects: personal data, removed by retention.
-- An ordinary table: without rowids, SQLite moves a row past 1 KB to pages of its own, and a row with
-- 30 links takes a quarter more time to write.
CREATE TABLE messages (
    email_id BLOB NOT NULL,              -- 16 bytes, a UUIDv7
    copy BLOB NOT NULL,                  -- 4 random bytes; tells the copies of one email_id apart
    created_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,               -- instrumented, untouched
    reason TEXT NOT NULL,                -- why untouched; when instrumented, which HTML parts were left
    queue_id TEXT NOT NULL,              -- Postfix's
    message_id TEXT,                     -- the Message-ID field, or NULL
    envelope_id TEXT,                    -- ENVID of MAIL FROM, or NULL
    sender TEXT NOT NULL,                -- envelope sender
    header_from TEXT,                    -- the From field as it came, or NULL
    recipients TEXT NOT NULL,            -- JSON array, envelope recipients
    subject TEXT,                        -- decoded
    sending_domain TEXT NOT NULL,
    tracking_domain TEXT NOT NULL,
    opens INTEGER NOT NULL,              -- whether opens were decided on, with the reason
    opens_reason TEXT NOT NULL,
    clicks INTEGER NOT NULL,
    clicks_reason TEXT NOT NULL,
    tags TEXT NOT NULL,                  -- JSON array
    topic TEXT,
    campaign TEXT,
    headers TEXT NOT NULL,               -- JSON object: the app's own X- fields
    links TEXT NOT NULL,                 -- JSON array of [index, destination, tracked, reason]
    image_reason TEXT NOT NULL,          -- where the open image was put, or why there is none
    PRIMARY KEY (email_id, copy)
);
CREATE INDEX messages_by_queue_id ON messages (queue_id);
CREATE INDEX messages_by_message_id ON messages (message_id);
