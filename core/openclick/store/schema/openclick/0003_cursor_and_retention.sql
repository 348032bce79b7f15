-- What stands at the cursor's position, and what retention looks up.

-- An older hits.db put back has the same file_id and, after new hits, the same positions again: the
-- cursor holds only where the hit at its position is still this one.
ALTER TABLE cursors ADD COLUMN hit_id BLOB NOT NULL DEFAULT x'';

-- Retention removes the deliveries that ended first; pending ones are not in the index.
CREATE INDEX deliveries_by_end ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
-- An event is kept as long as a delivery holds it.
CREATE INDEX delivery_events_by_seq ON delivery_events (seq);
