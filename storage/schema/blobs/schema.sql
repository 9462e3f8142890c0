-- A blob is there once it has its digest. Rows without one belong to writers
-- that have not finished. Ids are not given again, so that a reader cannot
-- meet another blob's chunks.
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT UNIQUE,  -- hexadecimal SHA-256 of the bytes
  size_bytes INTEGER NOT NULL,
  put_time INTEGER NOT NULL  -- last put, nanoseconds; see sqlite/put_clock.h
) STRICT;

-- Chunk n (from 0) of blob b has id b * 2^20 + n: one tree, in the order of
-- reading. Each but a blob's last has 4 MiB.
CREATE TABLE chunks (
  id INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;
