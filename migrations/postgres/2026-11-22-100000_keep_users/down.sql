DROP TABLE participants;
ALTER TABLE requests DROP COLUMN creator;
DROP TABLE users;
