-- Who may call the API.
CREATE TABLE users (
    email TEXT NOT NULL PRIMARY KEY, -- in lower case
    password TEXT NOT NULL,          -- its argon2id hash as a PHC string
    party BIGINT,                    -- PartyId that the user speaks for, if any
    created_at BIGINT NOT NULL,      -- when the account was made
    disabled_at BIGINT               -- since when it may not call, if it may not
);

ALTER TABLE requests ADD COLUMN creator TEXT; -- email of the user that asked; NULL: callers were open

-- Whose jobs are whose, so that a party's list is found without reading any request.
CREATE TABLE participants (
    party BIGINT NOT NULL,                               -- PartyId with data in the job
    order_id BIGINT NOT NULL REFERENCES jobs (order_id), -- OrderId of the job
    PRIMARY KEY (party, order_id)
);
INSERT INTO participants SELECT guest, order_id FROM jobs;
INSERT INTO participants
    SELECT host.value, jobs.order_id
    FROM jobs JOIN requests ON requests.job = jobs.id,
        json_each(requests.spec, '$.train.parties.hosts') AS host;
