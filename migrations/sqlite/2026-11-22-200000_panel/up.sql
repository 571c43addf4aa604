-- SQLite changes no constraint: the table is made anew, with the same rows. Foreign keys are off
-- while tables are brought up to date.
CREATE TABLE jobs_anew (
    order_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- OrderId; one sequence over all kinds
    id TEXT NOT NULL UNIQUE,      -- JobId, uuid v7
    kind TEXT NOT NULL            -- which queue of the guest is asked
        CHECK (kind IN ('train', 'infer', 'compute', 'learn')),
    guest BIGINT NOT NULL,        -- the party whose worker takes it
    owner BIGINT NOT NULL,        -- the party that asked for it
    status TEXT NOT NULL          -- JobStatus
        CHECK (status IN ('awaiting_input',
            'pending', 'awaiting_approval', 'running', 'finished', 'failed', 'cancelled')),
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

-- Jobs of the panel: what is the same in all runs. Of a deleted one this row stays, without its
-- name and its keys. It is written before its first run, hence the deferred check.
CREATE TABLE panels (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- one sequence: the newest last
    id TEXT NOT NULL UNIQUE,        -- PanelId, a decimal of 256 random bits; outside: jobID
    name TEXT NOT NULL,             -- what its creator calls it
    creator TEXT NOT NULL,          -- email of the account that made it
    client_sealed BOOLEAN NOT NULL, -- whether participants split their inputs themselves
    job TEXT NOT NULL               -- JobId of the current run
        REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED,
    worker_key BLOB,                -- key of its files, sealed to the worker's party
    api_key BLOB,                   -- key of its files, wrapped for the API
    created_at BIGINT NOT NULL,     -- when it was made
    updated_at BIGINT NOT NULL,     -- when an account last changed something about it
    deleted_at BIGINT,              -- when it was deleted, if it was
    CHECK ((worker_key IS NULL) = (api_key IS NULL))
);
CREATE UNIQUE INDEX panels_by_name ON panels (creator, name) WHERE deleted_at IS NULL;

-- Whose job it is; nobody's once it is deleted.
CREATE TABLE panel_participants (
    panel BIGINT NOT NULL REFERENCES panels (number), -- the panel job
    position BIGINT NOT NULL, -- from 0: P0, P1, P2
    email TEXT NOT NULL,      -- the account
    PRIMARY KEY (panel, position)
);
CREATE INDEX panel_participants_by_email ON panel_participants (email, panel);

-- All runs of panel jobs.
CREATE TABLE panel_runs (
    panel BIGINT NOT NULL REFERENCES panels (number), -- the panel job
    round BIGINT NOT NULL,    -- which run of it, from 1; outside: roundID
    job TEXT NOT NULL UNIQUE REFERENCES jobs (id), -- JobId
    PRIMARY KEY (panel, round)
);

-- What the participants filled in for one run.
CREATE TABLE inputs (
    job TEXT NOT NULL REFERENCES jobs (id), -- JobId of a joint computation
    position BIGINT NOT NULL,       -- of the participant, from 0
    protection TEXT NOT NULL        -- InputProtection: who split it
        CHECK (protection IN ('server-split', 'client-sealed')),
    matrix_rows BIGINT NOT NULL,    -- rows of the matrix
    matrix_columns BIGINT NOT NULL, -- columns of the matrix
    bundle BLOB,                    -- sharing::Bundle, sealed to its workers; gone once the run ended
    filled_at BIGINT NOT NULL,      -- when it came
    PRIMARY KEY (job, position)
);

-- Files of panel jobs, and those that are on their way in.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,  -- UploadId, a uuid
    panel BIGINT UNIQUE REFERENCES panels (number), -- the panel job that took it over, if one did
    begun_at BIGINT NOT NULL       -- when it began
);
CREATE INDEX uploads_unused ON uploads (begun_at) WHERE panel IS NULL;

-- Pieces of files to learn from.
CREATE TABLE uploaded_pieces (
    upload TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE, -- UploadId
    file TEXT NOT NULL,            -- FileKind
    piece BIGINT NOT NULL,         -- from 0
    sealed BLOB NOT NULL,          -- only who has the key of the job's files can open it
    PRIMARY KEY (upload, file, piece)
);

-- Pieces of files made by the session that has the job, or by the one that finished it.
CREATE TABLE made_pieces (
    job TEXT NOT NULL REFERENCES jobs (id), -- JobId of a learning
    file TEXT NOT NULL,            -- FileKind
    piece BIGINT NOT NULL,         -- from 0
    sealed BLOB NOT NULL,          -- only who has the key of the job's files can open it
    PRIMARY KEY (job, file, piece)
);

-- What joint computations told all their participants.
CREATE TABLE computed_results (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId of a joint computation
    exact TEXT NOT NULL,           -- JSON list of rows of exact numbers
    rounded TEXT NOT NULL          -- the same with six decimals
);

-- What was learned, beside the files that were made.
CREATE TABLE learned_results (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId of a learning
    metrics TEXT NOT NULL,         -- JSON: how well it did
    files TEXT NOT NULL            -- JSON: FileKind -> bytes of that file
);
