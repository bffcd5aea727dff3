-- Under which agreements something lies in FEEDS for a department. Its consumer rests where one of them is in force no longer, and where
-- no row says which they are: losing one costs time, until the publisher has looked at what lies there. A program of before writes none.
CREATE TABLE sharing_kept.feed_under (
    department text COLLATE "C" PRIMARY KEY,
    agreements uuid[] NOT NULL
);
