// The way to the system: a client that shows a token with each call, and keeps to the published service configuration.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const CONTRACTS = fileURLToPath(new URL("../../../proto", import.meta.url));
const SERVICE_CONFIGURATION = readFileSync(`${CONTRACTS}/service-config.json`, "utf8");
const THIS_MACHINE = ["127.0.0.1", "[::1]", "localhost"];

/**
 * The registry of the system that the environment names.
 *
 * ELDERCARE_CONNECTION is the file that `up` leaves in its data folder; without it ELDERCARE_ENDPOINT is the address and
 * ELDERCARE_TOKEN the token. ELDERCARE_CA is a PEM file of the authority that signed the server's certificate; without it
 * those count that Node.js trusts.
 *
 * What for personal data are read goes along with each call, as the law wants it.
 */
export function registry(purpose) {
  const { endpoint, token } = place();
  const { protocol, host, hostname } = new URL(endpoint);
  const options = {
    // Timeouts, and which methods are called again by themselves, are the contract's and not for each program to find out.
    "grpc.service_config": SERVICE_CONFIGURATION,
    interceptors: [shown(token, purpose)],
  };
  const loaded = protoLoader.loadSync("eldercare/registry/v1/registry_service.proto", {
    includeDirs: [CONTRACTS],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const { RegistryService } = grpc.loadPackageDefinition(loaded).eldercare.registry.v1;
  return new RegistryService(host, credentials(protocol, hostname), options);
}

/** The answer of a unary method: the client's own functions want a callback. */
export function call(client, method, request, options = {}) {
  return new Promise((resolve, reject) => {
    client[method](request, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

function place() {
  const { ELDERCARE_CONNECTION: file, ELDERCARE_ENDPOINT: endpoint, ELDERCARE_TOKEN: token } = process.env;
  if (file) return JSON.parse(readFileSync(file, "utf8"));
  if (!endpoint || !token) throw new Error("ELDERCARE_ENDPOINT and ELDERCARE_TOKEN are missing");
  return { endpoint, token };
}

function credentials(protocol, hostname) {
  if (protocol === "https:") {
    const authority = process.env.ELDERCARE_CA;
    return grpc.credentials.createSsl(authority ? readFileSync(authority) : null);
  }
  if (THIS_MACHINE.includes(hostname)) return grpc.credentials.createInsecure();
  throw new Error("without TLS everybody on the way reads the token: give an address with https://");
}

/** Shows who calls and what for. */
function shown(token, purpose) {
  // The library goes by the configuration, but waits for a connection only where it is told so with the call.
  const waiting = new Set(
    JSON.parse(SERVICE_CONFIGURATION)
      .methodConfig.filter(({ waitForReady }) => waitForReady)
      .flatMap(({ name }) => name.map(({ service, method }) => `/${service}/${method}`)),
  );
  return (options, next) =>
    new grpc.InterceptingCall(next(options), {
      start(metadata, listener, proceed) {
        metadata.set("authorization", `Bearer ${token}`);
        metadata.set("eldercare-purpose", purpose);
        metadata.setOptions({ waitForReady: waiting.has(options.method_definition.path) });
        proceed(metadata, listener);
      },
    });
}
