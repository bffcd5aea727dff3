-- What the feeds bore so far. Losing it costs time: the stream FEEDS gives it back.

-- Every feed there ever was.
CREATE TABLE sharing_kept.feed (
    feed_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    department text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    division text COLLATE "C" NOT NULL,
    -- Where it began, anew as a rule, and when.
    begun bigint NOT NULL,
    begun_at timestamptz NOT NULL,
    -- The fields that it tells, as its FeedBegun says.
    fields text NOT NULL,
    ended boolean NOT NULL,
    -- Whether all that was there when it began is told.
    complete boolean NOT NULL,
    -- What lies in FEEDS before this sequence may stay no longer; 0 where nothing is left to take away.
    purge_before bigint NOT NULL,
    UNIQUE (department, product, division)
);

-- Whom a feed ever told of, and whether whoever reads it holds something of the elder now.
CREATE TABLE sharing_kept.feed_told (
    elder_id uuid NOT NULL,
    feed_id bigint NOT NULL,
    told boolean NOT NULL,
    PRIMARY KEY (elder_id, feed_id)
);
CREATE INDEX feed_told_feed ON sharing_kept.feed_told (feed_id) WHERE told;

-- Where in FEEDS something is said of an elder.
CREATE TABLE sharing_kept.feed_message (
    elder_id uuid NOT NULL,
    sequence bigint NOT NULL,
    feed_id bigint NOT NULL,
    tombstone boolean NOT NULL,
    PRIMARY KEY (elder_id, sequence)
);
CREATE INDEX feed_message_feed ON sharing_kept.feed_message (feed_id, sequence);
CREATE INDEX feed_message_sequence ON sharing_kept.feed_message (sequence);
CREATE INDEX feed_message_tombstone ON sharing_kept.feed_message (elder_id) WHERE tombstone;

-- How far the index has come in FEEDS, and the publisher in each log with it.
CREATE TABLE sharing_kept.feed_index (
    stream text PRIMARY KEY,
    sequence bigint NOT NULL,
    registry bigint NOT NULL,
    tiering bigint NOT NULL,
    visits bigint NOT NULL,
    alerts bigint NOT NULL,
    claims bigint NOT NULL,
    sharing bigint NOT NULL,
    -- The last day on which all elders were looked at once.
    swept date
);
