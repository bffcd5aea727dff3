-- What a feed bore is told apart from what it was only found to have nothing to say of, and all of FEEDS is in the index, also
-- what lies before the beginnings of feeds. So it is made anew: FEEDS gives it back.
TRUNCATE sharing_kept.feed, sharing_kept.feed_told, sharing_kept.feed_message, sharing_kept.feed_index;

-- `told`: whether the feed told all there is of the elder, be that nothing. What a program of before writes while both run lacks them.
ALTER TABLE sharing_kept.feed_told
    -- Whether whoever reads it holds something of the elder now.
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    -- Whether it ever bore something about the elder.
    ADD COLUMN carried boolean NOT NULL DEFAULT false;

DROP INDEX sharing_kept.feed_told_feed;
CREATE INDEX feed_told_feed ON sharing_kept.feed_told (feed_id) WHERE told OR held;
