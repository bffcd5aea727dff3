// The import of a town's survey: a workbook goes in by pieces, and each of its rows comes back with what became of it.

import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

import grpc from "@grpc/grpc-js";

import { Refusal } from "./refusals.mjs";

const PIECE = 256 * 1024;
const TRIES = 5;

/**
 * How many rows had which outcome, and the summary.
 *
 * No gRPC library calls a stream again by itself. The same workbook with the same `import_id` may be sent as often as it
 * takes: what was done stays done, and every row is told again.
 */
export async function imported(client, workbook, town, importId) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await once(client, workbook, town, importId);
    } catch (error) {
      const refusal = new Refusal(error);
      const { UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED } = grpc.status;
      const passing = [UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED].includes(refusal.code);
      if (!passing || attempt + 1 === TRIES) throw error;
      // Too many workbooks are on their way, say: the system says when there will be room.
      await sleep(refusal.wait ?? 1_000 * 2 ** attempt);
    }
  }
}

async function once(client, workbook, town, importId) {
  const outcomes = {};
  let summary;
  const exchange = client.ImportSurvey();
  await pipeline(Readable.from(pieces(workbook, town, importId)), exchange, async (answers) => {
    for await (const answer of answers) {
      if (answer.part === "row") {
        const name = answer.row.outcome.replace("SURVEY_OUTCOME_", "");
        outcomes[name] = (outcomes[name] ?? 0) + 1;
      } else if (answer.part === "summary") {
        summary = answer.summary;
      }
    }
  });
  return { outcomes, summary };
}

async function* pieces(workbook, town, importId) {
  yield { options: { import_id: importId, town_code: town } };
  for await (const chunk of createReadStream(workbook, { highWaterMark: PIECE })) yield { chunk };
}
