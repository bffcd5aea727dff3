-- What holds today of each elder, and how far the evaluator has got. Kept by the evaluator alone, in one transaction;
-- lost, it is made again from the facts and the tiers.
CREATE SCHEMA tiering_today;

CREATE TABLE tiering_today.elder (
    elder_id       uuid PRIMARY KEY,
    village        text COLLATE "C" NOT NULL,
    -- What policies may ask about the elder, as one number; NULL when out of scope.
    facts_key      bigint,
    -- The next day on which time alone may change it.
    next_change_on date
);

CREATE INDEX elder_village ON tiering_today.elder (village, elder_id);
CREATE INDEX elder_next_change_on ON tiering_today.elder (next_change_on) WHERE next_change_on IS NOT NULL;

CREATE TABLE tiering_today.progress (
    single   boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- Facts up to this sequence of the registry have been evaluated.
    registry bigint NOT NULL,
    -- Policies up to this sequence of our own log have been applied.
    tiering  bigint NOT NULL,
    -- The last sequence of our own log that came of it.
    appended bigint NOT NULL,
    -- The day as of which all elders have been evaluated.
    day      date   NOT NULL,
    -- Whether the first evaluation of everybody is done.
    begun    boolean NOT NULL
);
