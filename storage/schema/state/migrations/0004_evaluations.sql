-- A job has an evaluation for each version that it made, with comparisons, and
-- a version knows which bounds of its job's guard it breaks.

CREATE TABLE evaluations_2 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL REFERENCES jobs (sequence),
  create_time INTEGER NOT NULL,
  dataset TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  model TEXT NOT NULL,
  against TEXT NOT NULL,
  figures TEXT NOT NULL,
  against_figures TEXT NOT NULL,
  comparisons TEXT NOT NULL,
  UNIQUE (job, model)
) STRICT;
INSERT INTO evaluations_2
  SELECT id, job, create_time, dataset, dataset_digest, model, against, figures,
    against_figures, '[]'
  FROM evaluations;
DROP TABLE evaluations;
ALTER TABLE evaluations_2 RENAME TO evaluations;
CREATE INDEX evaluations_by_model ON evaluations (model);

ALTER TABLE versions ADD COLUMN broken_bounds TEXT;
