-- Uploads that have begun: what of them is stored, so that one that was cut
-- goes on where it stopped.
CREATE TABLE uploads (
  id TEXT PRIMARY KEY,  -- its request_id
  target TEXT NOT NULL,  -- dataset/NAME or model/NAME
  holder TEXT NOT NULL,  -- the stream that may add to it; another takes over
  update_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_target ON uploads (target);
CREATE INDEX uploads_by_time ON uploads (update_time);

CREATE TABLE upload_parts (
  upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  end_offset INTEGER NOT NULL,  -- in the bytes of the upload
  content TEXT NOT NULL,  -- JSON object
  PRIMARY KEY (upload, end_offset)
) STRICT;

-- Blobs that parts name, which are not garbage.
CREATE TABLE upload_blobs (
  digest TEXT NOT NULL,
  upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  PRIMARY KEY (digest, upload)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_blobs_by_upload ON upload_blobs (upload);
