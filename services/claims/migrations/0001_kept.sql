-- How far the reader of our own log has got: it keeps nothing else, and reads what came before from the read model.
CREATE SCHEMA claims_kept;

CREATE TABLE claims_kept.progress (
    reader text PRIMARY KEY,
    read bigint NOT NULL,
    written bigint NOT NULL
);
