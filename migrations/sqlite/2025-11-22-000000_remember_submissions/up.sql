-- One key of one owner is one job, also after that job ended: a request that is sent again is
-- answered as the first time. The key is written before its job, hence the deferred check.
CREATE TABLE submissions (
    owner BIGINT NOT NULL,         -- PartyId that asked
    idempotency_key TEXT NOT NULL, -- the owner's name for the request
    request_hash BLOB NOT NULL,    -- SHA-256 of the request; another request may not use the key
    job TEXT NOT NULL              -- JobId that came of it
        REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (owner, idempotency_key)
);
