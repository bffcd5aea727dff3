// A department's program that follows its feeds and keeps what they share, from which to start your own.
//
// The contract is proto/feeds.asyncapi.yaml. What is held stands in a JSON file, written whole before
// anything is acknowledged: cut off at any point, the program goes on where it was, and what comes twice changes nothing.
//
// Each event is a line of JSON on standard output, with the names of fields and never their values. Run one of these for
// a consumer, not two.
//
// User, password, prefix of inboxes and consumer are those that SharingService.IssueFeedCredential answers: the consumer's
// name is not the department's code, and can't be guessed.

import { existsSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const STREAM = "FEEDS";
const OWN_EVENTS = "eldercare.sharing.v1.feed.";
// The server answers a fetch after so many milliseconds at most, also with nothing.
const PATIENCE = 1_000;
// So long one attempt to connect may take, on whatever machine, before the next is made.
const DIAL = 30_000;
// While nobody lets us in, it is said so often.
const REMINDER = 30_000;

/**
 * What the department holds, and up to where it has read.
 *
 * documents: product -> division of the feed -> key -> {elder_id, fields, masked}
 * feeds: product -> division of the feed -> BEGUN, CAUGHT_UP or ENDED
 * erasures_due: elders who were erased, until the department has called ConfirmErasure
 * position: the last message of FEEDS that is taken into account
 */
class Book {
  constructor(path) {
    this.path = resolve(path);
    this.kept = existsSync(this.path)
      ? JSON.parse(readFileSync(this.path, "utf8"))
      : { position: 0, feeds: {}, documents: {}, erasures_due: [] };
  }

  get position() {
    return this.kept.position;
  }

  caughtUp() {
    const states = Object.values(this.kept.feeds).flatMap((feeds) => Object.values(feeds));
    return states.length > 0 && !states.includes("BEGUN");
  }

  /** Whole or not at all: a file beside it takes its place once it is on the disk. */
  async write() {
    const beside = `${this.path}.new`;
    // Personal data: for nobody else's eyes.
    const file = await open(beside, "w", 0o600);
    await file.writeFile(JSON.stringify(this.kept));
    await file.sync();
    await file.close();
    await rename(beside, this.path);
    const folder = await open(dirname(this.path));
    await folder.sync();
    await folder.close();
  }

  /** Takes one event into account, and returns what is said of it; null of one that came before. */
  apply(sequence, header, body) {
    if (sequence <= this.position) return null;
    this.kept.position = sequence;
    const [product, division] = [header("ce-product"), header("ce-division")];
    const [key, elder] = [header("ce-subject"), header("ce-elderid")];
    const ofProduct = (this.kept.documents[product] ??= {});
    ofProduct[division] ??= {};
    const feeds = (this.kept.feeds[product] ??= {});
    const name = header("ce-type");
    const event = name.slice(name.lastIndexOf(".") + 1);
    const told = { event, product, division, position: sequence };
    // Source events are known by their full names: one of them may be called as one of the feed's own.
    switch (name === OWN_EVENTS + event ? event : "") {
      case "FeedBegun":
        // The feed is told anew: what it does not tell again is granted no more.
        ofProduct[division] = {};
        feeds[division] = "BEGUN";
        break;
      case "FeedCaughtUp":
        feeds[division] = "CAUGHT_UP";
        break;
      case "FeedEnded":
        // No agreement covers what is held any more.
        ofProduct[division] = {};
        feeds[division] = "ENDED";
        break;
      case "ElderWithdrawn":
        // Lives elsewhere now; the feed of another division may still tell of the elder.
        forget(ofProduct[division], elder);
        told.elder = elder;
        break;
      case "ElderErased":
        for (const held of Object.values(ofProduct)) forget(held, elder);
        if (!this.kept.erasures_due.includes(elder)) this.kept.erasures_due.push(elder);
        // Once the department has erased it in all its own systems: SharingService.ConfirmErasure.
        Object.assign(told, { elder, confirm_erasure: "due" });
        break;
      case "":
      case "DocumentShared":
        told.key = key;
        if (body.length > 0) {
          const fields = JSON.parse(new TextDecoder().decode(body));
          const masked = header("ce-masked");
          ofProduct[division][key] = { elder_id: elder, fields, masked: masked ? masked.split(",") : [] };
          told.fields = Object.keys(fields).sort();
        } else {
          // There is no such document any more.
          delete ofProduct[division][key];
          told.fields = [];
        }
        break;
      default:
      // Of a later version, and left alone.
    }
    return told;
  }
}

function forget(documents, elder) {
  for (const [key, document] of Object.entries(documents)) {
    if (document.elder_id === elder) delete documents[key];
  }
}

/** Fetches the messages of a durable pull consumer in their order, each at least once. */
class Follower {
  constructor(connection, name) {
    this.connection = connection;
    this.name = name;
    this.consumer = null;
  }

  /** Messages may have been on their way that did not reach us. */
  lost() {
    this.consumer = null;
  }

  /**
   * Binds to the consumer, which sharing has made for the department, and sets it back to where we are.
   *
   * What was on its way when we were cut off would else come later than what is new.
   */
  async bind(position) {
    // Asking for the state of JetStream as a whole is not for departments.
    const manager = await jetstreamManager(this.connection, { checkAPI: false });
    // Nor is how the consumer stands, but as the answer to this.
    const info = await manager.consumers.reset(STREAM, this.name, position + 1);
    this.delivered = 0;
    this.pending = info.num_pending;
    this.consumer = jetstream(this.connection).consumers.getConsumerFromInfo(info);
  }

  /** The next messages, none where nothing came. */
  async fetch(batch, position) {
    if (this.consumer === null) await this.bind(position);
    const expires = PATIENCE;
    // The client need not look the consumer up when it has lost the line.
    const bind = true;
    const first = await this.consumer.next({ expires, bind });
    if (first === null || !this.follows(first)) return [];
    const messages = [first];
    // No more than there are, so that the fetch ends with the last of them and not after its time.
    const max_messages = Math.min(batch - 1, first.info.pending);
    if (max_messages > 0 && this.consumer !== null) {
      for await (const message of await this.consumer.fetch({ max_messages, expires, bind })) {
        if (!this.follows(message)) break;
        messages.push(message);
      }
    }
    return messages;
  }

  /** The consumer counts what it delivers: a gap is something that did not reach us. */
  follows(message) {
    if (message.info.deliverySequence === this.delivered + 1) {
      this.delivered += 1;
      this.pending = message.info.pending;
      return true;
    }
    this.lost();
    return false;
  }

  /** Whether the last message said that none came after it, and none has come since. */
  nothingPending() {
    return this.consumer !== null && this.pending === 0;
  }
}

/** Waits for as long as it takes until we are let in; with a limit (`idleSeconds`) null once that is over. */
async function connected(options) {
  // A feed is read by the department's user, who may listen to inboxes of its own prefix alone.
  const connecting = connect({
    servers: options.server,
    // Whoever stands in between may say that the server does not speak TLS.
    tls: options.server.startsWith("tls://") ? {} : undefined,
    user: options.user,
    pass: options.password,
    inboxPrefix: options.inboxPrefix,
    name: "feed_consumer.mjs",
    timeout: DIAL,
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 1_000,
    // The server also refuses us while sharing is away, which tells it who we are: the client would give up at the second refusal.
    ignoreAuthErrorAbort: true,
  });
  const reminder = setInterval(() => {
    process.stderr.write("not let in yet: the server is away, or refuses user or password\n");
  }, REMINDER);
  const limit = new AbortController();
  try {
    if (!options.idleSeconds) return await connecting;
    const over = sleep(options.idleSeconds * 1_000, null, { signal: limit.signal });
    return await Promise.race([connecting, over]);
  } finally {
    clearInterval(reminder);
    limit.abort();
  }
}

async function follow(options) {
  const book = new Book(options.state);
  const connection = await connected(options);
  // It still tries, and would keep the process.
  if (connection === null) process.exit(options.untilCaughtUp ? 2 : 0);
  const follower = new Follower(connection, options.consumer);
  (async () => {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") follower.lost();
      if (status.type === "error") complain(status.error);
    }
  })();
  let heard = Date.now();
  for (;;) {
    try {
      const messages = await follower.fetch(options.batch, book.position);
      if (messages.length > 0) {
        heard = Date.now();
        const told = messages.map((message) =>
          book.apply(message.info.streamSequence, (name) => message.headers?.get(name) ?? "", message.data),
        );
        // First on the disk, then acknowledged: cut off in between, they come again and change nothing.
        await book.write();
        for (const line of told) {
          if (line !== null) process.stdout.write(`${JSON.stringify(line)}\n`);
        }
        for (const message of messages) message.ack();
        continue;
      }
      if (options.untilCaughtUp && book.caughtUp() && follower.nothingPending()) break;
    } catch (error) {
      // The client has given up for good, or the contract was broken.
      if (connection.isClosed() || error instanceof SyntaxError || error instanceof TypeError) throw error;
      // The server is away, say; nothing is lost by trying again.
      complain(error);
      follower.lost();
      await sleep(PATIENCE);
    }
    if (options.idleSeconds && Date.now() - heard > options.idleSeconds * 1_000) {
      if (options.untilCaughtUp) {
        await connection.close();
        return 2;
      }
      break;
    }
  }
  // The last acknowledgements are sent before we leave; what is not acknowledged comes again, and is passed by.
  await connection.drain().catch(complain);
  await connection.close();
  return 0;
}

function complain(error) {
  // Errors of the client name subjects and states, never contents.
  process.stderr.write(`${error.name}: ${error.message}\n`);
}

function options() {
  const { values } = parseArgs({
    options: {
      server: { type: "string", default: process.env.FEED_SERVER ?? "nats://127.0.0.1:4222" },
      // department:<code>
      user: { type: "string", default: process.env.FEED_USER },
      // _INBOX_department:<code>
      "inbox-prefix": { type: "string", default: process.env.FEED_INBOX_PREFIX },
      // The file of what is held.
      state: { type: "string", default: process.env.FEED_STATE ?? "feed-state.json" },
      // Fetched, and written, at once.
      batch: { type: "string", default: "100" },
      // Exit 0 once all feeds have told what there is.
      "until-caught-up": { type: "boolean", default: false },
      // Exit after so long without an event; 2 if not caught up.
      "idle-seconds": { type: "string" },
    },
  });
  const given = {
    server: values.server,
    user: values.user,
    // No arguments: everybody on the machine sees those.
    password: process.env.FEED_PASSWORD,
    consumer: process.env.FEED_CONSUMER,
    inboxPrefix: values["inbox-prefix"],
    state: values.state,
    batch: Number(values.batch),
    untilCaughtUp: values["until-caught-up"],
    idleSeconds: Number(values["idle-seconds"] ?? 0),
  };
  for (const name of ["user", "password", "inboxPrefix", "consumer"]) {
    if (!given[name]) throw new Error(`${name} is missing`);
  }
  return given;
}

process.exitCode = await follow(options());
