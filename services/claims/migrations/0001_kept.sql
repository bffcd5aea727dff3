-- How far the readers of the logs have got: they keep nothing else, and read what came before from the read models.
CREATE SCHEMA claims_kept;

CREATE TABLE claims_kept.progress (
    reader text PRIMARY KEY,
    first bigint NOT NULL,
    second bigint NOT NULL
);
