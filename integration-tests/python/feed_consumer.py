"""A department's program that follows its feeds and keeps what they share, from which to start your own.

The contract is proto/feeds.asyncapi.yaml. What is held stands in a JSON file, written whole before
anything is acknowledged: cut off at any point, the program goes on where it was, and what comes twice changes nothing.

Each event is a line of JSON on standard output, with the names of fields and never their values. Run one of these for
a consumer, not two.

User, password, prefix of inboxes and consumer are those that SharingService.IssueFeedCredential answers: the consumer's
name is not the department's code, and can't be guessed.
"""

import argparse
import asyncio
import json
import os
import sys
import time

import nats
from nats.errors import TimeoutError as NothingCame

STREAM = "FEEDS"
OWN_EVENTS = "eldercare.sharing.v1.feed."
# The server answers a fetch after so long at most, also with nothing.
PATIENCE = 1.0
# So long each step of connecting may take, on whatever machine, before it is tried again.
DIAL = 30


class Book:
    """What the department holds, and up to where it has read.

    documents: product -> division of the feed -> key -> {elder_id, fields, masked}
    feeds: product -> division of the feed -> BEGUN, CAUGHT_UP or ENDED
    erasures_due: elders who were erased, until the department has called ConfirmErasure
    position: the last message of FEEDS that is taken into account
    """

    def __init__(self, path):
        self.path = path
        self.kept = {"position": 0, "feeds": {}, "documents": {}, "erasures_due": []}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.kept = json.load(file)

    @property
    def position(self):
        return self.kept["position"]

    def caught_up(self):
        states = [state for feeds in self.kept["feeds"].values() for state in feeds.values()]
        return bool(states) and "BEGUN" not in states

    def write(self):
        """Whole or not at all: a file beside it takes its place once it is on the disk."""
        beside = f"{self.path}.new"
        # Personal data: for nobody else's eyes.
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.kept, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def apply(self, sequence, headers, body):
        """Takes one event into account, and returns what is said of it; None of one that came before."""
        if sequence <= self.position:
            return None
        self.kept["position"] = sequence
        product, division = headers["ce-product"], headers["ce-division"]
        key, elder = headers.get("ce-subject"), headers.get("ce-elderid")
        of_product = self.kept["documents"].setdefault(product, {})
        of_feed = of_product.setdefault(division, {})
        feeds = self.kept["feeds"].setdefault(product, {})
        name = headers["ce-type"]
        event = name.rsplit(".", 1)[-1]
        told = {"event": event, "product": product, "division": division, "position": sequence}
        # Source events are known by their full names: one of them may be called as one of the feed's own.
        own = event if name == OWN_EVENTS + event else None

        if own == "FeedBegun":
            # The feed is told anew: what it does not tell again is granted no more.
            of_feed.clear()
            feeds[division] = "BEGUN"
        elif own == "FeedCaughtUp":
            feeds[division] = "CAUGHT_UP"
        elif own == "FeedEnded":
            # No agreement covers what is held any more.
            of_feed.clear()
            feeds[division] = "ENDED"
        elif own == "ElderWithdrawn":
            # Lives elsewhere now; the feed of another division may still tell of the elder.
            forget(of_feed, elder)
            told["elder"] = elder
        elif own == "ElderErased":
            for held in of_product.values():
                forget(held, elder)
            if elder not in self.kept["erasures_due"]:
                self.kept["erasures_due"].append(elder)
            # Once the department has erased it in all its own systems: SharingService.ConfirmErasure.
            told |= {"elder": elder, "confirm_erasure": "due"}
        elif own is None or own == "DocumentShared":
            told["key"] = key
            if body:
                fields = json.loads(body)
                masked = headers.get("ce-masked") or ""
                of_feed[key] = {"elder_id": elder, "fields": fields, "masked": masked.split(",") if masked else []}
                told["fields"] = sorted(fields)
            else:
                # There is no such document any more.
                of_feed.pop(key, None)
                told["fields"] = []
        # Events of the feed's own that are not known here are of a later version, and left alone.
        return told


def forget(documents, elder):
    for key in [key for key, document in documents.items() if document["elder_id"] == elder]:
        del documents[key]


class Follower:
    """Fetches the messages of a durable pull consumer in their order, each at least once."""

    def __init__(self, jetstream, consumer):
        self.jetstream = jetstream
        self.consumer = consumer
        self.pull = None
        self.in_order = False

    def lost(self):
        """Messages may have been on their way that did not reach us."""
        self.in_order = False

    async def bind(self, position):
        """Binds to the consumer, which sharing has made for the department, and sets it back to where we are.

        What was on its way when we were cut off would else come later than what is new.
        """
        if self.pull is not None:
            await self.pull.unsubscribe()
        self.pull = await self.jetstream.pull_subscribe_bind(durable=self.consumer, stream=STREAM)
        self.in_order = True
        reset = await self.jetstream.reset_consumer(STREAM, self.consumer, seq=position + 1)
        self.delivered = 0
        self.pending = reset.info.num_pending

    async def fetch(self, batch, position):
        """The next messages, none where nothing came."""
        if not self.in_order:
            await self.bind(position)
        try:
            messages = await self.pull.fetch(batch, timeout=PATIENCE)
        except NothingCame:
            return []
        for at, message in enumerate(messages):
            # The consumer counts what it delivers: a gap is something that did not reach us.
            if message.metadata.sequence.consumer != self.delivered + 1:
                self.lost()
                return messages[:at]
            self.delivered += 1
            self.pending = message.metadata.num_pending
        return messages

    def nothing_pending(self):
        """Whether the last message said that none came after it, and none has come since."""
        return self.in_order and self.pending == 0


async def connected(options, cut_off):
    """Waits for as long as it takes until we are let in, and tells of each refusal.

    The server also refuses us while sharing is away, which tells it who we are.
    """
    # A feed is read by the department's user, who may listen to inboxes of its own prefix alone.
    connecting = nats.connect(
        options.server,
        user=options.user,
        password=options.password,
        inbox_prefix=options.inbox_prefix,
        name="feed_consumer.py",
        connect_timeout=DIAL,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        disconnected_cb=cut_off,
        error_cb=complain,
    )
    return await asyncio.wait_for(connecting, timeout=options.idle_seconds or None)


async def follow(options):
    book = Book(options.state)
    connection = follower = None

    async def cut_off():
        if follower is not None:
            follower.lost()

    heard = time.monotonic()
    while True:
        try:
            # Some errors make the client give up for good, though the server would let us in again.
            if connection is None or connection.is_closed:
                connection = await connected(options, cut_off)
                follower = Follower(connection.jetstream(), options.consumer)
            messages = await follower.fetch(options.batch, book.position)
            if messages:
                heard = time.monotonic()
                told = [
                    book.apply(message.metadata.sequence.stream, message.headers, message.data) for message in messages
                ]
                # First on the disk, then acknowledged: cut off in between, they come again and change nothing.
                book.write()
                for line in told:
                    if line is not None:
                        print(json.dumps(line, ensure_ascii=False), flush=True)
                for message in messages:
                    await message.ack()
                continue
            if options.until_caught_up and book.caught_up() and follower.nothing_pending():
                break
        except (nats.errors.Error, asyncio.TimeoutError) as error:
            # The server is away, say; nothing is lost by trying again.
            await complain(error)
            await cut_off()
            await asyncio.sleep(PATIENCE)
        if options.idle_seconds and time.monotonic() - heard > options.idle_seconds:
            if connection is not None:
                await connection.close()
            return 2 if options.until_caught_up else 0
    try:
        # The last acknowledgements are sent before we leave; what is not acknowledged comes again, and is passed by.
        await connection.flush()
    except (nats.errors.Error, asyncio.TimeoutError) as error:
        await complain(error)
    await connection.close()
    return 0


async def complain(error):
    # Errors of the client name subjects and states, never contents.
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def options():
    environment = os.environ.get
    parser = argparse.ArgumentParser(
        description="Follows a department's feeds.",
        epilog="FEED_PASSWORD and FEED_CONSUMER come from the environment. IssueFeedCredential answers all of them.",
    )
    parser.add_argument("--server", default=environment("FEED_SERVER", "nats://127.0.0.1:4222"))
    parser.add_argument("--user", default=environment("FEED_USER"), help="department:<code>")
    parser.add_argument("--inbox-prefix", default=environment("FEED_INBOX_PREFIX"), help="_INBOX_department:<code>")
    parser.add_argument("--state", default=environment("FEED_STATE", "feed-state.json"), help="the file of what is held")
    parser.add_argument("--batch", type=int, default=100, help="fetched, and written, at once")
    parser.add_argument("--until-caught-up", action="store_true", help="exit 0 once all feeds have told what there is")
    parser.add_argument("--idle-seconds", type=float, help="exit after so long without an event; 2 if not caught up")
    given = parser.parse_args()
    # No arguments: everybody on the machine sees those.
    given.password = environment("FEED_PASSWORD")
    given.consumer = environment("FEED_CONSUMER")
    for name in ("user", "password", "inbox_prefix", "consumer"):
        if not getattr(given, name):
            parser.error(f"FEED_{name.upper()} is missing")
    return given


if __name__ == "__main__":
    sys.exit(asyncio.run(follow(options())))
