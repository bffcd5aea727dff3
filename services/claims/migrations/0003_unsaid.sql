-- Approved orders against which on_elder_facts found something that it could not say, since their provider's settlements can't be
-- read, and by which record. Whoever leads after it looks at them once more, and takes away what is said.
CREATE TABLE claims_kept.unsaid (
    order_key uuid PRIMARY KEY,
    -- The record: where it lies, what it is known by, and what it goes on in.
    stream text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    record_id uuid NOT NULL,
    correlation_id uuid NOT NULL,
    traceparent text
);
