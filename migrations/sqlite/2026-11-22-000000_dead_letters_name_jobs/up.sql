ALTER TABLE dead_letters ADD COLUMN job TEXT; -- JobId that it was about, where that can be read
CREATE INDEX dead_letters_of_job ON dead_letters (job) WHERE job IS NOT NULL;
