-- What the judge needs to see a repeat, and what an admin is shown of a hit.

-- visit: 8 bytes, a hash of which token was asked for, from which address, by which user agent.
-- NULL, and no user agent, in rows that were judged before.
ALTER TABLE verdicts ADD COLUMN visit BLOB;
ALTER TABLE verdicts ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';

-- With email_id first, so that what is written lies beside what was written lately.
CREATE INDEX verdicts_by_visit ON verdicts (email_id, visit, received_at);
