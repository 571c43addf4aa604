CREATE TABLE users (
    email TEXT NOT NULL PRIMARY KEY,
    password TEXT NOT NULL,
    party BIGINT,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);
COMMENT ON TABLE users IS 'Who may call the API';
COMMENT ON COLUMN users.email IS 'in lower case';
COMMENT ON COLUMN users.password IS 'its argon2id hash as a PHC string';
COMMENT ON COLUMN users.party IS 'PartyId that the user speaks for, if any';
COMMENT ON COLUMN users.created_at IS 'when the account was made';
COMMENT ON COLUMN users.disabled_at IS 'since when it may not call, if it may not';

ALTER TABLE requests ADD COLUMN creator TEXT;
COMMENT ON COLUMN requests.creator IS 'email of the user that asked; NULL: callers were open';

CREATE TABLE participants (
    party BIGINT NOT NULL,
    order_id BIGINT NOT NULL REFERENCES jobs (order_id),
    PRIMARY KEY (party, order_id)
);
COMMENT ON TABLE participants IS
    'Whose jobs are whose, so that a party''s list is found without reading any request';
COMMENT ON COLUMN participants.party IS 'PartyId with data in the job';
COMMENT ON COLUMN participants.order_id IS 'OrderId of the job';
INSERT INTO participants SELECT guest, order_id FROM jobs;
INSERT INTO participants
    SELECT host.value::bigint, jobs.order_id
    FROM jobs JOIN requests ON requests.job = jobs.id,
        json_array_elements_text(requests.spec::json -> 'train' -> 'parties' -> 'hosts') AS host;
