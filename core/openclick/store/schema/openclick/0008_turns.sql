-- Webhooks take turns where more is due than may be under way at once.

-- When the last attempt began, NULL before the first: who waits longest is served first.
ALTER TABLE webhooks ADD COLUMN last_attempt_at INTEGER;
