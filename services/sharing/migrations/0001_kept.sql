-- How far the chain over our own log is made. Losing it costs time: the log gives it back.
CREATE SCHEMA sharing_kept;

CREATE TABLE sharing_kept.audit_chain (
    stream text PRIMARY KEY,
    -- The last record in the chain, and the chain's head there.
    sequence bigint NOT NULL,
    head bytea NOT NULL,
    -- The last record that bears a signed head (0: none), and the last record that this head holds.
    head_record bigint NOT NULL,
    through bigint NOT NULL,
    -- Since when there are records that no signed head holds.
    unsigned_since timestamptz
);
