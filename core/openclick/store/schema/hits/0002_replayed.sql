-- How far each journal file has been brought back into this very file.  Written in the transaction
-- that brings the rows, so that a crash in between neither doubles nor loses any.
CREATE TABLE replayed (
    journal TEXT PRIMARY KEY,            -- the journal file's name
    offset INTEGER NOT NULL              -- in bytes: the end of the last record that is here
) WITHOUT ROWID;
