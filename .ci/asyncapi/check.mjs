// Whether a document is valid AsyncAPI: `node check.mjs FILE`. Says what is wrong, and fails on errors.

import { readFileSync } from "node:fs";

import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
const ERROR = 0;
const errors = diagnostics.filter(({ severity }) => severity === ERROR);
for (const { code, message, path } of errors) {
  console.error(`${file}: ${path.join(".")}: ${message} (${code})`);
}
if (errors.length > 0 || !document) process.exit(1);
console.log(`${file}: AsyncAPI ${document.version()}, ${document.allMessages().length} messages`);
