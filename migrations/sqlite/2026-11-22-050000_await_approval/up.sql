-- SQLite changes no constraint: the table is made anew, with the same rows. Foreign keys are off
-- while tables are brought up to date.
CREATE TABLE jobs_anew (
    order_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- OrderId; one sequence over all kinds
    id TEXT NOT NULL UNIQUE,      -- JobId, uuid v7
    kind TEXT NOT NULL            -- which queue of the guest is asked
        CHECK (kind IN ('train', 'infer')),
    guest BIGINT NOT NULL,        -- the party whose worker takes it
    owner BIGINT NOT NULL,        -- the party that asked for it
    status TEXT NOT NULL          -- JobStatus
        CHECK (status IN
            ('pending', 'awaiting_approval', 'running', 'finished', 'failed', 'cancelled')),
    status_at BIGINT NOT NULL,    -- when it took that status, or became pending again
    attempt BIGINT NOT NULL,      -- from 1; raised when an attempt ended and another may mend it
    session TEXT,                 -- uuid of the session that has it
    lease_until BIGINT,           -- when that session is taken for dead
    failures BIGINT NOT NULL,     -- failed attempts since the checkpoint last advanced
    checkpoint_round BIGINT,      -- round of the checkpoint; only rises
    digests TEXT NOT NULL,        -- JSON: party -> bytes of its data digest; {} until started
    report TEXT NOT NULL,         -- JSON of job::Report
    created_at BIGINT NOT NULL,   -- when it was accepted
    deadline_at BIGINT NOT NULL,  -- when it fails, should it not have ended
    CHECK ((status IN ('awaiting_approval', 'running')) = (session IS NOT NULL)),
    CHECK ((status IN ('awaiting_approval', 'running')) = (lease_until IS NOT NULL))
);
INSERT INTO jobs_anew SELECT * FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_anew RENAME TO jobs;
CREATE INDEX jobs_by_status ON jobs (status, order_id);

CREATE TABLE sealed_results (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId of an inference
    sealed BLOB NOT NULL          -- only who may read the scores can open it
);
