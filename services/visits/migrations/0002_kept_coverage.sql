-- Coverage is counted as it changes, so that it can be asked of a city at any time: by months, and by divisions of all
-- levels, so that no answer has to add up villages.

-- The months that are counted, each as of its last day, or of today while it lasts.
CREATE TABLE visits_kept.counted_month (
    -- Its first day.
    month  date PRIMARY KEY,
    on_day date NOT NULL
);

-- The elders with a counted record in a month.
CREATE TABLE visits_kept.visited (
    elder_id uuid NOT NULL,
    month    date NOT NULL,
    PRIMARY KEY (elder_id, month)
);

-- The figures: elders in scope on the day of the month, and those of them who were visited in it.
CREATE TABLE visits_kept.coverage (
    month    date NOT NULL,
    -- How many digits the code has: 2, 4, 6, 9 or 12.
    digits   integer NOT NULL,
    division text COLLATE "C" NOT NULL,
    in_scope integer NOT NULL,
    visited  integer NOT NULL,
    PRIMARY KEY (month, digits, division)
) WITH (fillfactor = 70);

-- The reader of standings also reads our own log, and goes by the day. It lays everything out anew.
ALTER TABLE visits_kept.progress ADD COLUMN third bigint NOT NULL DEFAULT 0;
DELETE FROM visits_kept.progress WHERE reader = 'standings';
