-- The wider checks of `jobs` stay: they refuse nothing that was taken before.
DROP TABLE learned_results;
DROP TABLE computed_results;
DROP TABLE made_pieces;
DROP TABLE uploaded_pieces;
DROP TABLE uploads;
DROP TABLE inputs;
DROP TABLE panel_runs;
DROP TABLE panel_participants;
DROP TABLE panels;
