-- Up to which record of our log the table of agreements has to have come before a department's consumer is woken: whoever ends an
-- agreement notes that before the table knows of it. Losing it costs time, as losing feed_under does. A program of before writes none.
CREATE TABLE sharing_kept.feed_rest (
    department text COLLATE "C" PRIMARY KEY,
    until bigint NOT NULL
);
