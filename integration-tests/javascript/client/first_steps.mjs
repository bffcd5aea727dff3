// A first program against the system, from which to start your own: an elder's file from registration to a change of it, a
// search page by page, a survey's import, and what a refusal says.
//
// Where the system is, the environment says (connection.mjs). Beside what it prints, nothing of the elders is told: ids and
// counts, no names.

import { randomInt, randomUUID } from "node:crypto";
import { isDeepStrictEqual, parseArgs } from "node:util";

import grpc from "@grpc/grpc-js";

import { call, registry } from "./connection.mjs";
import { Refusal } from "./refusals.mjs";
import { imported } from "./survey.mjs";

const VILLAGE = "350524100001";

async function main({ workbook, town }) {
  // One client for the whole program: calls share its connections.
  const client = registry("first steps");
  try {
    // Nobody else has the name, so that a search finds what this run has registered.
    const name = `示例${randomUUID().slice(0, 8)}`;
    const first = await registers(client, name);
    await reads(client, first);
    await searches(client, name);
    await changes(client, first.elder);
    await imports(client, workbook, town);
    await isRefused(client);
    await runsOutOfTime(client);
  } finally {
    client.close();
  }
  console.log("done");
}

/** Three elders: the first one's id, and the last one's position. */
async function registers(client, name) {
  const first = anElder(name);
  const registered = await call(client, "RegisterElder", first);
  console.log(`registered: ${registered.elder_id}, at ${registered.committed.position}`);
  // The id of the request makes a retry safe, however late it comes: it is made once, and kept until there is an answer.
  const again = await call(client, "RegisterElder", first);
  console.log(`sent again: ${isDeepStrictEqual(again, registered) ? "the same answer" : "ANOTHER ANSWER"}`);
  let position;
  for (const elder of [anElder(name), anElder(name)]) {
    ({ position } = (await call(client, "RegisterElder", elder)).committed);
  }
  return { elder: registered.elder_id, position };
}

/** Queries are answered by read models, a moment behind the log: `min_position` waits for what was just written. */
async function reads(client, { elder: elder_id, position: min_position }) {
  const { elder } = await call(client, "GetElder", { elder_id, min_position });
  const status = elder.status.replace("ELDER_STATUS_", "");
  console.log(`read: ${status}, village ${elder.division_code}, version ${elder.etag ? "given" : "MISSING"}`);
}

/** Pages: the same request with the token of the page before, until there is no token any more. */
async function searches(client, name) {
  const request = { name, division_code: VILLAGE, page_size: 2, page_token: "" };
  let [pages, found] = [0, 0];
  do {
    const page = await call(client, "SearchElders", request);
    [pages, found] = [pages + 1, found + page.elders.length];
    // A page may hold fewer than were asked for: its token says whether it was the last.
    request.page_token = page.next_page_token;
  } while (request.page_token);
  console.log(`found: ${found} elders on ${pages} pages`);
}

/** Only what the mask names is changed, and only where nobody else has changed the file since it was read. */
async function changes(client, elder_id) {
  const { elder } = await call(client, "GetElder", { elder_id });
  const { committed } = await setsRemarks(client, elder, "喜欢下棋");
  console.log(`changed: ${committed.etag === elder.etag ? "THE SAME VERSION" : "a new version"}`);
  try {
    // Another officer, say, who has the file as it was before.
    await setsRemarks(client, elder, "喜欢种花");
  } catch (error) {
    const refusal = new Refusal(error);
    console.log(`stale: ${refusal}`);
    if (refusal.code !== grpc.status.ABORTED) throw error;
    // Blindly sent again it would undo what the other one wrote: read, decide anew, then write.
    const read = await call(client, "GetElder", { elder_id, min_position: committed.position });
    await setsRemarks(client, read.elder, `${read.elder.remarks}，喜欢种花`);
    console.log("changed: upon what the other one wrote");
  }
}

function setsRemarks(client, { elder_id, etag }, remarks) {
  return call(client, "UpdateElder", {
    request_id: randomUUID(),
    elder_id,
    etag,
    profile: { remarks },
    update_mask: { paths: ["remarks"] },
  });
}

/** Each row has its own outcome: one that is wrong keeps no other out. */
async function imports(client, workbook, town) {
  const { outcomes, summary } = await imported(client, workbook, town, randomUUID());
  const told = Object.keys(outcomes).sort().map((name) => `${outcomes[name]} ${name}`);
  console.log(`imported: ${summary.rows} rows: ${told.join(", ")}`);
}

/** What is wrong with a request is told field by field, before anything is written. */
async function isRefused(client) {
  const request = {
    request_id: randomUUID(),
    id_number: "35052419500101",
    division_code: VILLAGE,
    contacts: [{ name: "示例", phone: "12" }],
  };
  try {
    await call(client, "RegisterElder", request);
  } catch (error) {
    const refusal = new Refusal(error);
    console.log(`refused: ${refusal}`);
    for (const field of Object.keys(refusal.fields).sort()) console.log(`  ${field}: ${refusal.fields[field]}`);
  }
}

/** A call's own deadline, where the published one is too long: here for a position that the log has not reached. */
async function runsOutOfTime(client) {
  const request = { division_code: VILLAGE, min_position: "REGISTRY:1000000000000" };
  try {
    await call(client, "GetStatistics", request, { deadline: Date.now() + 500 });
  } catch (error) {
    console.log(`too late: ${grpc.status[error.code]}`);
  }
}

/** An elder who lives alone, with an id of the request. */
function anElder(name) {
  return {
    request_id: randomUUID(),
    name,
    id_number: anIdNumber(),
    division_code: VILLAGE,
    categories: ["CATEGORY_LIVING_ALONE"],
  };
}

/** An ID number that is well formed and most likely nobody's (GB 11643): place, birthday, serial, check character. */
function anIdNumber() {
  const born = new Date(Date.UTC(1935, 0, 1 + randomInt(7_000))).toISOString().slice(0, 10).replaceAll("-", "");
  const digits = `350524${born}${String(randomInt(1_000)).padStart(3, "0")}`;
  const total = [...digits].reduce((sum, digit, place) => sum + Number(digit) * (2 ** (17 - place) % 11), 0);
  return digits + "10X98765432"[total % 11];
}

const { values } = parseArgs({
  options: {
    // A town's survey, annex 3 (.xlsx).
    workbook: { type: "string" },
    // The town's code, nine digits.
    town: { type: "string" },
  },
});
if (!values.workbook || !values.town) throw new Error("--workbook and --town are missing");
try {
  await main(values);
} catch (error) {
  // Not a call's failure: a file that is not there, or a fault of our own.
  if (!error.metadata) throw error;
  console.error(`failed: ${new Refusal(error)}`);
  process.exitCode = 1;
}
