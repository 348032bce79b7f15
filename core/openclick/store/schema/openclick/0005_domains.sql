-- How a tracking domain is verified and served, and every name that links were ever sent with.

-- scheme and verification are what the admin says: auto, https, http; full, dns.
ALTER TABLE domains ADD COLUMN scheme TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE domains ADD COLUMN verification TEXT NOT NULL DEFAULT 'full';
-- Whether the last check that succeeded did so over https: links of new mail then use it.
ALTER TABLE domains ADD COLUMN https INTEGER NOT NULL DEFAULT 0;
-- For how long checks of a verified domain have failed in a row; the sum of the waits between them,
-- so that a clock that is set makes no failure old.
ALTER TABLE domains ADD COLUMN failing_seconds REAL NOT NULL DEFAULT 0;

-- Names of tracking domains, never deleted: links that were sent with one go on working as long as
-- it points here.  Whether a name is current follows from the domains.
CREATE TABLE tracking_names (
    name TEXT PRIMARY KEY,               -- A-label, lower case
    sending_domain TEXT NOT NULL,        -- whose links it was last given to
    added_at INTEGER NOT NULL,
    points_here INTEGER NOT NULL DEFAULT 0,  -- what DNS said when it was last asked and answered
    checked_at INTEGER,                  -- when that was
    pointed_here_at INTEGER              -- when it last did
);
INSERT INTO tracking_names (name, sending_domain, added_at)
    SELECT subdomain || '.' || name, name, created_at FROM domains WHERE true
    ON CONFLICT (name) DO NOTHING;
