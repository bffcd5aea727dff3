// Refusals of the system: a code, a reason for programs, a text for people, and what to do about it.

import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const DETAILS = protoLoader.loadSync(fileURLToPath(new URL("error_details.proto", import.meta.url)), { keepCase: true });

/** What a failed call says. */
export class Refusal {
  constructor(error) {
    // Such as grpc.status.ABORTED.
    this.code = error.code;
    // What a program goes by, in UPPER_SNAKE_CASE; empty where the call never reached the system.
    this.reason = "";
    // Each field that is wrong, with its reason.
    this.fields = {};
    // What an officer reads, in Chinese.
    this.text = error.details;
    // In how many milliseconds it is worth trying again; undefined where the system does not say.
    this.wait = undefined;
    const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
    for (const { type_url: url, value } of packed ? read("google.rpc.Status", packed).details : []) {
      const name = url.slice(url.lastIndexOf("/") + 1);
      // There may be others that are not known here.
      if (DETAILS[name]) this.take(name, read(name, value));
    }
  }

  take(name, detail) {
    switch (name) {
      case "google.rpc.ErrorInfo":
        this.reason = detail.reason;
        break;
      case "google.rpc.BadRequest":
        this.fields = Object.fromEntries(detail.field_violations.map(({ field, reason }) => [field, reason]));
        break;
      case "google.rpc.LocalizedMessage":
        if (detail.locale === "zh-CN") this.text = detail.message;
        break;
      case "google.rpc.RetryInfo":
        this.wait = Number(detail.retry_delay.seconds ?? 0) * 1_000 + (detail.retry_delay.nanos ?? 0) / 1e6;
        break;
    }
  }

  toString() {
    return [grpc.status[this.code], this.reason, this.text].filter(Boolean).join(" ");
  }
}

function read(name, bytes) {
  return DETAILS[name].deserialize(bytes);
}
