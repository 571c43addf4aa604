ALTER TABLE jobs
    DROP CONSTRAINT jobs_status_check,
    DROP CONSTRAINT jobs_check,
    DROP CONSTRAINT jobs_check1,
    ADD CONSTRAINT jobs_status_check CHECK (status IN
        ('pending', 'awaiting_approval', 'running', 'finished', 'failed', 'cancelled')),
    ADD CONSTRAINT jobs_session_check CHECK
        ((status IN ('awaiting_approval', 'running')) = (session IS NOT NULL)),
    ADD CONSTRAINT jobs_lease_until_check CHECK
        ((status IN ('awaiting_approval', 'running')) = (lease_until IS NOT NULL));

CREATE TABLE sealed_results (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id),
    sealed BYTEA NOT NULL
);
COMMENT ON TABLE sealed_results IS 'What an inference released to one reader';
COMMENT ON COLUMN sealed_results.job IS 'JobId of an inference';
COMMENT ON COLUMN sealed_results.sealed IS 'only who may read the scores can open it';
