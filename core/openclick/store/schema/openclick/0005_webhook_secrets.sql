-- The secret before the last rotation, until it expires; and when a webhook last took something.
ALTER TABLE webhooks ADD COLUMN previous_secret TEXT;
ALTER TABLE webhooks ADD COLUMN previous_secret_expires_at INTEGER;
ALTER TABLE webhooks ADD COLUMN last_delivery_at INTEGER;
