-- Several events of one record may be passed by, also of one type: each has its place in the record, counted from 0.
-- What was parked before has 0, and is told apart from what is parked later by its type, as it was.
ALTER TABLE readmodel.parked ADD COLUMN place integer NOT NULL DEFAULT 0;
ALTER TABLE readmodel.parked DROP CONSTRAINT parked_projection_sequence_event_type_key;
ALTER TABLE readmodel.parked ADD CONSTRAINT parked_once UNIQUE (projection, sequence, place, event_type);
