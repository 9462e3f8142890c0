-- Embeddings of images by a version, which jobs of that base share. They go
-- with the version's tensors and with the dataset that they were computed for.
CREATE TABLE embeddings (
  id INTEGER PRIMARY KEY,
  base INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
  dataset INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
  variant TEXT NOT NULL,  -- how they were computed, the worker's
  manifest INTEGER NOT NULL UNIQUE REFERENCES manifests (id)
) STRICT;
CREATE INDEX embeddings_by_base ON embeddings (base);
CREATE INDEX embeddings_by_dataset ON embeddings (dataset);
CREATE TRIGGER embeddings_deleted AFTER DELETE ON embeddings BEGIN
  DELETE FROM manifests WHERE id = OLD.manifest;
END;
