-- How far our log is read for dossiers opened beyond all agreements, and of which of them somebody is still to be told.
-- Losing it costs doubles: who was told within the last day is told once more.
CREATE TABLE sharing_kept.glass_reading (
    stream text PRIMARY KEY,
    -- The last record that was read.
    sequence bigint NOT NULL,
    -- What was recorded before is not told.
    since timestamptz NOT NULL
);

CREATE TABLE sharing_kept.glass_notice (
    -- The record's own id, and its sequence.
    record_id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    -- Who opened whose dossier, where and when.
    opened_by text NOT NULL,
    opened_at timestamptz NOT NULL,
    elder_id text NOT NULL,
    division text NOT NULL,
    -- The notices that somebody took, by their keys.
    told uuid[] NOT NULL,
    -- How often it was tried, and when it is tried again, by the wall clock.
    attempts integer NOT NULL,
    next_attempt timestamptz NOT NULL
);
CREATE INDEX glass_notice_next_attempt ON sharing_kept.glass_notice (next_attempt);
