-- A job that goes on from an ended one names it, and what its inputs were when
-- it was made.
ALTER TABLE jobs ADD COLUMN retry_of TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN input_digests TEXT NOT NULL DEFAULT '[]';
