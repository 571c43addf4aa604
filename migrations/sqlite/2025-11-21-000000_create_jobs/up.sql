-- Times are Unix milliseconds of the database's clock, uuids are text.

CREATE TABLE parties (
    id BIGINT NOT NULL PRIMARY KEY, -- PartyId; outside: user_id
    name TEXT NOT NULL              -- what people call it
);

-- A job without the texts of its request, so that a sign of life rewrites little.
CREATE TABLE jobs (
    order_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- OrderId; one sequence over all kinds
    id TEXT NOT NULL UNIQUE,      -- JobId, uuid v7
    kind TEXT NOT NULL            -- which queue of the guest is asked
        CHECK (kind IN ('train', 'infer')),
    guest BIGINT NOT NULL,        -- the party whose worker takes it
    owner BIGINT NOT NULL,        -- the party that asked for it
    status TEXT NOT NULL          -- JobStatus
        CHECK (status IN ('pending', 'running', 'finished', 'failed', 'cancelled')),
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
    CHECK ((status = 'running') = (session IS NOT NULL)),
    CHECK ((status = 'running') = (lease_until IS NOT NULL))
);
CREATE INDEX jobs_by_status ON jobs (status, order_id);

CREATE TABLE requests (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId
    spec TEXT NOT NULL,           -- canonical JSON of job::Spec; what the parties get
    echo TEXT NOT NULL            -- the caller's request as sent
);

CREATE TABLE checkpoints (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId; gone once the job ended
    sealed BLOB NOT NULL          -- only the guest can open it
);

CREATE TABLE models (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- ModelId
    job TEXT NOT NULL UNIQUE REFERENCES jobs (id)  -- JobId of its training
);

CREATE TABLE model_parts (
    model BIGINT NOT NULL REFERENCES models (id), -- ModelId
    party BIGINT NOT NULL,        -- PartyId
    sealed BLOB NOT NULL,         -- only that party can open it
    PRIMARY KEY (model, party)
);

CREATE TABLE results (
    job TEXT NOT NULL PRIMARY KEY REFERENCES jobs (id), -- JobId of an inference
    scores TEXT NOT NULL          -- JSON list of message::Score, as the data owner released them
);

CREATE TABLE dead_letters (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- order of arrival
    queue TEXT NOT NULL,          -- where the message was
    reason TEXT NOT NULL,         -- why nobody could read it
    bytes BIGINT NOT NULL,        -- its length; the body is not kept
    seen_at BIGINT NOT NULL       -- when it was recorded
);
