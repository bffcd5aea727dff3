-- When the next timer of the watch falls due: a process that does not watch itself waits for that where its own clock was set on.
-- A program that does not know the column leaves it as it was.
ALTER TABLE alerts_kept.progress ADD COLUMN next_due timestamptz;
