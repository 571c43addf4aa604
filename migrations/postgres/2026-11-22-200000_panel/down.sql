DROP TABLE learned_results;
DROP TABLE computed_results;
DROP TABLE made_pieces;
DROP TABLE uploaded_pieces;
DROP TABLE uploads;
DROP TABLE inputs;
DROP TABLE panel_runs;
DROP TABLE panel_participants;
DROP TABLE panels;
ALTER TABLE jobs
    DROP CONSTRAINT jobs_kind_check,
    DROP CONSTRAINT jobs_status_check,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('train', 'infer')),
    ADD CONSTRAINT jobs_status_check CHECK (status IN
        ('pending', 'awaiting_approval', 'running', 'finished', 'failed', 'cancelled'));
