-- The certificates of the tracking domains, as the sidecar last saw them, and where ACME stands.
-- Everything but the ACME columns can be seen again from the files.

CREATE TABLE certificates (
    name             TEXT PRIMARY KEY,            -- the tracking domain
    serves_https     INTEGER NOT NULL DEFAULT 0,  -- whether the sidecar can serve https for it
    not_before_at    INTEGER,                     -- NULL where there is no certificate
    not_after_at     INTEGER,
    by_acme          INTEGER NOT NULL DEFAULT 0,  -- whether we obtained it, and so renew it
    file_fault       TEXT NOT NULL DEFAULT '',    -- why its file cannot be used
    failures         INTEGER NOT NULL DEFAULT 0,  -- orders that failed, one after another
    attempted_at     INTEGER,                     -- the last order
    next_attempt_at  INTEGER,                     -- no order before it
    failure_code     TEXT NOT NULL DEFAULT '',    -- of the last order
    failure_message  TEXT NOT NULL DEFAULT ''
);
