CREATE TABLE submissions (
    owner BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    job TEXT NOT NULL
        REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (owner, idempotency_key)
);
COMMENT ON TABLE submissions IS
    'One key of one owner is one job, also after that job ended: a request that is sent again is '
    'answered as the first time. The key is written before its job, hence the deferred check.';
COMMENT ON COLUMN submissions.owner IS 'PartyId that asked';
COMMENT ON COLUMN submissions.idempotency_key IS 'the owner''s name for the request';
COMMENT ON COLUMN submissions.request_hash IS
    'SHA-256 of the request; another request may not use the key';
COMMENT ON COLUMN submissions.job IS 'JobId that came of it';
