-- What has ended in our registers, while orders of the days after it are still to be looked at again: on_elder_facts does so a page
-- at a time, and who leads after it goes on from there. What is lost here with how far that reader has got, it finds in the log.
CREATE TABLE claims_kept.ended (
    -- The record of our own log that says so, and the place of the event in it.
    sequence bigint NOT NULL,
    place integer NOT NULL,
    -- An enrolment, a contract or a listing.
    elder_id uuid,
    programme text COLLATE "C",
    provider_id text COLLATE "C",
    contract_id uuid,
    caregiver_id uuid,
    last_day date NOT NULL,
    -- What the record is known by, and what it goes on in.
    record_id uuid NOT NULL,
    correlation_id uuid NOT NULL,
    traceparent text,
    -- Orders up to this sequence were looked at.
    looked_at bigint NOT NULL,
    -- The one with the lowest number is next; it goes behind all others with each page.
    turn bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (sequence, place)
);

-- How far on_elder_facts has read our own log. The second number stays before the first end above: a program that does not know
-- these rows goes by it, and has all orders after such an end looked at once more. It takes no row away: while it leads, after one
-- that does know them, lag is counted from the first end.
ALTER TABLE claims_kept.progress ADD COLUMN third bigint;
