-- What the watch over homes keeps: no fold of one stream, and made again from signals and log where it is lost.
CREATE SCHEMA alerts_kept;

-- How far the readers of the logs have got.
CREATE TABLE alerts_kept.progress (
    reader text PRIMARY KEY,
    first bigint NOT NULL,
    second bigint NOT NULL,
    third bigint NOT NULL,
    fourth bigint NOT NULL
);

-- The watch as it was at a position: devices, homes, rules and levels that are to come, in parts.
CREATE TABLE alerts_kept.watch (
    part integer PRIMARY KEY,
    bytes bytea NOT NULL
);
ALTER TABLE alerts_kept.watch ALTER COLUMN bytes SET STORAGE EXTERNAL;
