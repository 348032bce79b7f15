-- Webhooks that fail, rest, and are rotated; deliveries that are claimed; and how admins find them.

-- The secret before the last rotation goes on signing until it expires.
ALTER TABLE webhooks ADD COLUMN previous_secret TEXT;
ALTER TABLE webhooks ADD COLUMN previous_secret_expires_at INTEGER;

-- status may now be circuit_disabled too.  failures counts failed attempts in a row; probe_at is
-- when an open circuit is tried next, paused_until what a receiver's Retry-After asked for.
ALTER TABLE webhooks ADD COLUMN status_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN probe_at INTEGER;
ALTER TABLE webhooks ADD COLUMN paused_until INTEGER;
ALTER TABLE webhooks ADD COLUMN last_delivery_at INTEGER;

-- place counts the failed attempts of the list, waited_seconds how long the list has had the
-- delivery wait: neither grows while the circuit is open.  Until claimed_until the attempt that is
-- under way is nobody else's; next_attempt_at is the same instant meanwhile.
ALTER TABLE deliveries ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN waited_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN claimed_until INTEGER;
UPDATE deliveries SET
    place = attempts,
    waited_seconds = max(0, (next_attempt_at - created_at) / 1000000)
WHERE state = 'pending' AND attempts > 0;

-- kind: list, or probe of an open circuit.  outcome: the word that metrics count.
ALTER TABLE attempts ADD COLUMN kind TEXT NOT NULL DEFAULT 'list';
ALTER TABLE attempts ADD COLUMN outcome TEXT NOT NULL DEFAULT '';

-- New deliveries are formed while few wait for their first attempt.
CREATE INDEX deliveries_unattempted ON deliveries (webhook_id)
    WHERE state = 'pending' AND attempts = 0;
-- A probe is the oldest pending delivery; admins list by state, newest first.
CREATE INDEX deliveries_by_state ON deliveries (webhook_id, state, delivery_id);
-- A replay begins at an instant.
CREATE INDEX events_by_occurrence ON events (occurred_at);
