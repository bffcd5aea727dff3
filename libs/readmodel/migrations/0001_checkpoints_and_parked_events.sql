-- How far each projection has got in its stream. Moved in the same transaction as the rows it vouches for.
CREATE TABLE readmodel.checkpoint (
    projection text PRIMARY KEY,
    stream     text        NOT NULL,
    sequence   bigint      NOT NULL CHECK (sequence >= 0),
    version    integer     NOT NULL,
    ddl_digest bytea       NOT NULL,
    -- Raised by each switch to a rebuilt version, so that a runner of the replaced one notices.
    generation bigint      NOT NULL DEFAULT 0,
    -- False while a bulk load has not built its last indexes yet.
    loaded     boolean     NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
-- Updated by every transaction: room on the page keeps these updates away from the index.
) WITH (fillfactor = 20);

-- Events that were passed by: unreadable, of an unknown type, or refused by the fold. The payload is what lies in the
-- log (personal data sealed), never what was made of it.
CREATE TABLE readmodel.parked (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text        NOT NULL,
    stream     text        NOT NULL,
    sequence   bigint      NOT NULL,
    subject    text        NOT NULL,
    event_type text        NOT NULL,
    reason     text        NOT NULL,
    payload    bytea       NOT NULL,
    parked_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (projection, sequence, event_type)
);
