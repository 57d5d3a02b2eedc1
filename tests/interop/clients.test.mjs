// The scripts against a server that answers with what the official SDKs answered (tests/data/vectors).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../data/vectors/${name}.json`, import.meta.url))).cases;
const v2 = vectors("v2-exact-eip3009").find((c) => c.paymentResponse);
const v1 = vectors("v1-exact-evm").find((c) => c.xPaymentResponse);
const receipts = { v1: v1.xPaymentResponse.header, v2: v2.paymentResponse.header };

let server;
let origin;
let requests = [];

before(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    const paid = request.headers["payment-signature"] ?? request.headers["x-payment"];
    const version = request.url.slice(1, 3);
    if (request.url.endsWith("free") || paid) {
      response.setHeader(version === "v1" ? "X-PAYMENT-RESPONSE" : "PAYMENT-RESPONSE", receipts[version]);
      return response.end("served");
    }
    response.statusCode = 402;
    if (version === "v2") response.setHeader("PAYMENT-REQUIRED", v2.unpaid.headers["PAYMENT-REQUIRED"]);
    response.end(version === "v2" ? "{}" : JSON.stringify(v1.unpaid.body));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${server.address().port}`;
});

after(() => server.close());

async function script(name, path) {
  requests = [];
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const { stdout } = await run(process.execPath, [file, "GET", origin + path], { env: { ...process.env, PAYER_KEY: KEY } });
  assert.equal(stdout.trim().split("\n").length, 1);
  return JSON.parse(stdout);
}

for (const version of ["v1", "v2"]) {
  test(`${version} client signs once and pays`, async () => {
    const answer = await script(`pay-${version}`, `/${version}/paid`);
    assert.equal(answer.status, 200);
    assert.equal(answer.body, "served");
    assert.equal(answer.signed, 1);
    assert.equal(answer.settlement.success, true);
    assert.equal(requests.length, 2);
  });

  test(`${version} client does not sign what is free`, async () => {
    const answer = await script(`pay-${version}`, `/${version}/free`);
    assert.equal(answer.signed, 0);
    assert.equal(requests.length, 1);
  });

  test(`${version} header is made without being sent`, async () => {
    const { header, value } = await script(`sign-${version}`, `/${version}/paid`);
    assert.equal(header, version === "v1" ? "X-PAYMENT" : "PAYMENT-SIGNATURE");
    const payload = JSON.parse(Buffer.from(value, "base64"));
    assert.equal(payload.x402Version, version === "v1" ? 1 : 2);
    assert.equal(payload.payload.authorization.from, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    assert.equal(requests.length, 1);
  });
}
