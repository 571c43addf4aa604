DROP TABLE dead_letters;
DROP TABLE results;
DROP TABLE model_parts;
DROP TABLE models;
DROP TABLE checkpoints;
DROP TABLE requests;
DROP TABLE jobs;
DROP TABLE parties;
