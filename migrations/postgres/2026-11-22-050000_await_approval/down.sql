DROP TABLE sealed_results;
ALTER TABLE jobs
    DROP CONSTRAINT jobs_status_check,
    DROP CONSTRAINT jobs_session_check,
    DROP CONSTRAINT jobs_lease_until_check,
    ADD CONSTRAINT jobs_status_check CHECK (status IN
        ('pending', 'running', 'finished', 'failed', 'cancelled')),
    ADD CONSTRAINT jobs_check CHECK ((status = 'running') = (session IS NOT NULL)),
    ADD CONSTRAINT jobs_check1 CHECK ((status = 'running') = (lease_until IS NOT NULL));
