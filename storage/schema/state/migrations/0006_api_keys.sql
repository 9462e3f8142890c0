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
