DROP INDEX dead_letters_of_job;
ALTER TABLE dead_letters DROP COLUMN job;
