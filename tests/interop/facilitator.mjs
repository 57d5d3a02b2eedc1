// The official facilitator (@x402/core and @x402/evm) over HTTP, on the chain at RPC_URL, with gas from GAS_KEY. It prints
// `listening on http://127.0.0.1:PORT`. What it is told at POST /faults, a call for that payment gets; see faults.mjs.
import { createServer } from "node:http";
import { x402Facilitator } from "@x402/core/facilitator";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { registerExactEvmScheme } from "@x402/evm/exact/facilitator";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { createWalletClient, http, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { Faults } from "./faults.mjs";

const { RPC_URL, GAS_KEY } = process.env;
if (!RPC_URL || !GAS_KEY) {
  console.error("usage: RPC_URL=http://.. GAS_KEY=0x.. node facilitator.mjs");
  process.exit(2);
}

const account = privateKeyToAccount(GAS_KEY);
const chain = createWalletClient({ account, chain: baseSepolia, transport: http(RPC_URL), pollingInterval: 50 })
  .extend(publicActions);
const faults = new Faults(chain);
const signer = toFacilitatorEvmSigner({
  ...chain,
  address: account.address,
  // The signer's own limit, unless a fault is about less patience.
  waitForTransactionReceipt: (wanted) =>
    chain.waitForTransactionReceipt({ ...wanted, timeout: faults.patience ?? wanted.timeout }),
});
const facilitator = new x402Facilitator();
registerExactEvmScheme(facilitator, { signer, networks: "eip155:84532" });
facilitator.register("eip155:84532", new UptoEvmScheme(signer));
facilitator.registerExtension({ key: "eip2612GasSponsoring" });

const calls = { supported: 0, verify: 0, settle: 0 };
// One settlement at a time: it is the node that counts the gas account's transactions.
let lastSettled = Promise.resolve();
const told = {
  verify: (...payment) => facilitator.verify(...payment),
  settle: (...payment) => {
    const settled = lastSettled.then(() => facilitator.settle(...payment));
    lastSettled = settled.catch(() => {});
    return settled;
  },
};

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  try {
    const endpoint = request.url.slice(1);
    if (request.method === "GET" && endpoint === "supported") {
      calls.supported += 1;
      return answer(200, facilitator.getSupported());
    }
    if (request.method === "GET" && endpoint === "calls") return answer(200, calls);
    const body = JSON.parse(await text(request));
    if (endpoint === "faults") return answer(200, faults.add(body));
    if (!(endpoint in told)) return answer(404, { error: "no such endpoint" });
    const { paymentPayload, paymentRequirements } = body;
    if (!paymentPayload || !paymentRequirements) return answer(400, { error: "missing payload or requirements" });
    calls[endpoint] += 1;
    await faults.meet(endpoint, body, () => told[endpoint](paymentPayload, paymentRequirements), response);
  } catch (error) {
    if (!response.headersSent) answer(500, { error: error.message });
  }
});

server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

async function text(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}
