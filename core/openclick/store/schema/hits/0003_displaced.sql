-- Runs of hits that came later than their neighbours' instants say: each step of a replay.  All
-- others stand in the order of time, so that the judge finds what came within a second of a hit
-- beside it, and in these runs, without an index on a table that takes every hit.
CREATE TABLE displaced (
    first_position INTEGER PRIMARY KEY,
    last_position INTEGER NOT NULL,
    since INTEGER NOT NULL,              -- the earliest received_at in the run
    until INTEGER NOT NULL               -- the latest
);
