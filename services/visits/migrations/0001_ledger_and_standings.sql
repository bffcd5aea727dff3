-- What the readers of several logs keep beside the read models. Each table is written by one reader alone, in one
-- transaction with how far it has got; lost, all of it is made again from the logs.
CREATE SCHEMA visits_kept;

-- How far each reader has got: what the two numbers are is said where the reader is.
CREATE TABLE visits_kept.progress (
    reader text PRIMARY KEY,
    first  bigint NOT NULL,
    second bigint NOT NULL
);

-- The ledger: what every visitor recorded, in the order of the log. Check-ins stay sealed.
CREATE TABLE visits_kept.entry (
    record_id  uuid PRIMARY KEY,
    visitor_id uuid NOT NULL,
    start_at   timestamptz NOT NULL,
    end_at     timestamptz NOT NULL,
    elder_id   uuid NOT NULL,
    -- Whether the elder was met: only then it can meet a duty.
    met        boolean NOT NULL,
    check_in   bytea
);
CREATE INDEX entry_visitor ON visits_kept.entry (visitor_id, start_at);

CREATE TABLE visits_kept.photo (
    digest bytea PRIMARY KEY
);

-- The doubts that earlier records raised, by record.
CREATE TABLE visits_kept.verdict (
    record_id uuid PRIMARY KEY,
    doubts    integer NOT NULL
);

-- What elders in scope are owed, by days. The last day is open where until_day is infinity.
CREATE TABLE visits_kept.span (
    elder_id   uuid NOT NULL,
    from_day   date NOT NULL,
    until_day  date NOT NULL,
    village    text COLLATE "C" NOT NULL,
    tier       text COLLATE "C" NOT NULL,
    weekly     boolean NOT NULL,
    blocked    boolean NOT NULL,
    PRIMARY KEY (elder_id, from_day)
);
CREATE INDEX span_village ON visits_kept.span (village, elder_id);
