-- Times are nanoseconds since 1970 (UTC), digests hexadecimal SHA-256, states
-- and kinds the numbers of the enums in storage/records.h.

CREATE TABLE datasets (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  state INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  seal_time INTEGER,
  candidates TEXT NOT NULL,  -- JSON array of texts
  candidates_named INTEGER NOT NULL,
  pair_count INTEGER NOT NULL DEFAULT 0,
  clean_count INTEGER NOT NULL DEFAULT 0,
  labelled_count INTEGER NOT NULL DEFAULT 0,
  caption_count INTEGER NOT NULL DEFAULT 0,
  image_bytes INTEGER NOT NULL DEFAULT 0,  -- of the distinct images
  last_example INTEGER NOT NULL DEFAULT 0,  -- ids are not given again
  digest TEXT NOT NULL,
  invalid_examples TEXT NOT NULL,  -- JSON array of {example, reason}
  invalid_example_count INTEGER NOT NULL
) STRICT;

-- The distinct images of a dataset; a row goes when use_count gets to 0.
CREATE TABLE images (
  id INTEGER PRIMARY KEY,
  dataset INTEGER NOT NULL REFERENCES datasets (id),
  digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  use_count INTEGER NOT NULL,
  UNIQUE (digest, dataset)
) STRICT;
CREATE INDEX images_by_dataset ON images (dataset);

-- image and clean_image are images.id. They are no foreign keys: checking
-- them would need two more indexes, and use_count keeps them true.
CREATE TABLE examples (
  dataset INTEGER NOT NULL REFERENCES datasets (id),
  id INTEGER NOT NULL,  -- from 1 within the dataset
  kind INTEGER NOT NULL,
  image INTEGER NOT NULL,
  clean_image INTEGER,
  text TEXT NOT NULL,  -- preferred, label or caption
  other_text TEXT NOT NULL,  -- rejected or attack
  attributes TEXT NOT NULL,  -- JSON object, or '' for none
  caption_attributes TEXT NOT NULL,  -- JSON object, or '' for none
  PRIMARY KEY (dataset, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL,  -- 1 train, 2 evaluate, 3 validate
  spec TEXT NOT NULL,  -- JSON object
  state INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  start_time INTEGER,
  end_time INTEGER,
  attempt INTEGER NOT NULL,
  failure_count INTEGER NOT NULL,
  backoff_until INTEGER,
  status_message TEXT NOT NULL,
  step INTEGER NOT NULL,
  total_steps INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  lease_token_hash TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  output_versions TEXT NOT NULL,  -- JSON array of NAME:N
  retry_of TEXT NOT NULL DEFAULT '',  -- jobs.id, or '' for a new job
  input_digests TEXT NOT NULL DEFAULT '[]'  -- JSON array
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, sequence);

-- Which datasets and models a job reads or writes.
CREATE TABLE job_uses (
  kind TEXT NOT NULL CHECK (kind IN ('dataset', 'model')),
  name TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  PRIMARY KEY (kind, name, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_uses_by_job ON job_uses (job);

CREATE TABLE metrics (
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  time INTEGER NOT NULL,
  epoch REAL NOT NULL,
  loss REAL,
  objective_loss REAL,
  kl REAL,
  preferred_log_ratio REAL,
  rejected_log_ratio REAL,
  margin REAL,
  pair_accuracy REAL,
  logit_scale REAL,
  learning_rate REAL,
  gradient_norm REAL,
  examples_per_second REAL,
  PRIMARY KEY (job, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  number INTEGER NOT NULL,  -- from 1 within the job
  time INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  create_time INTEGER NOT NULL,
  dataset TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  model TEXT NOT NULL,  -- NAME:N
  against TEXT NOT NULL,  -- NAME:N or ''
  figures TEXT NOT NULL,  -- JSON array of objects, as struct Figure
  against_figures TEXT NOT NULL,
  comparisons TEXT NOT NULL,  -- JSON array, as struct FigureComparison
  UNIQUE (job, model)
) STRICT;
CREATE INDEX evaluations_by_model ON evaluations (model);

-- Named tensors; each is a blob of blobs.db. A checkpoint and a row of
-- embeddings have a manifest of their own, versions of the same digest share
-- one.
CREATE TABLE manifests (
  id INTEGER PRIMARY KEY,
  digest TEXT UNIQUE  -- a version's; else NULL
) STRICT;

CREATE TABLE tensors (
  manifest INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  data_type INTEGER NOT NULL,
  shape TEXT NOT NULL,  -- JSON array
  blob_digest TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  PRIMARY KEY (manifest, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tensors_by_blob ON tensors (blob_digest);

CREATE TABLE checkpoints (
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  manifest INTEGER NOT NULL UNIQUE REFERENCES manifests (id),
  state TEXT NOT NULL,  -- JSON, the worker's
  PRIMARY KEY (job, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  create_time INTEGER NOT NULL,
  last_version INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE versions (
  model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  source INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  config TEXT NOT NULL,  -- JSON object
  job_id TEXT NOT NULL,
  base TEXT NOT NULL,  -- NAME:N or ''
  dataset TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  manifest INTEGER NOT NULL REFERENCES manifests (id),
  tensor_count INTEGER NOT NULL,
  parameter_count INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  own_size_bytes INTEGER NOT NULL,
  broken_bounds TEXT,  -- JSON array of sentences; NULL without a guard
  PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_manifest ON versions (manifest);

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

CREATE TABLE aliases (
  model INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
  alias TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (model, alias),
  FOREIGN KEY (model, number) REFERENCES versions (model, number)
    ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Which request_id had which effect.
CREATE TABLE requests (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  result TEXT NOT NULL,
  time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (time);

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

-- API keys; the secret itself is not kept.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role INTEGER NOT NULL,
  digest TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  revoke_time INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name)
  WHERE revoke_time IS NULL;
