// The official server as its README sets it up: `GET /paid` for $0.001 to PAY_TO, through the facilitator at FACILITATOR_URL, and
// `GET /used` for 1234 units of at most $0.005, with approvals of Permit2 brought along. It prints
// `listening on http://127.0.0.1:PORT`; `GET /runs` tells how often the paid handlers ran.
import { HTTPFacilitatorClient } from "@x402/core/server";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { UptoEvmScheme } from "@x402/evm/upto/server";
import { paymentMiddleware, setSettlementOverrides, x402ResourceServer } from "@x402/express";
import { declareEip2612GasSponsoringExtension } from "@x402/extensions";
import express from "express";

const { FACILITATOR_URL, PAY_TO } = process.env;
const NETWORK = "eip155:84532";
const facilitator = new HTTPFacilitatorClient({ url: FACILITATOR_URL });
const resources = new x402ResourceServer(facilitator)
  .register(NETWORK, new ExactEvmScheme())
  .register(NETWORK, new UptoEvmScheme());
const accepts = { scheme: "exact", price: "$0.001", network: NETWORK, payTo: PAY_TO, maxTimeoutSeconds: 300 };
const prices = {
  "GET /paid": { accepts, description: "Something paid" },
  "GET /used": {
    accepts: { ...accepts, scheme: "upto", price: "$0.005" },
    extensions: declareEip2612GasSponsoringExtension(),
  },
};

let runs = 0;
const app = express();
app.use(paymentMiddleware(prices, resources));
app.get("/paid", (_, response) => response.json({ run: (runs += 1) }));
app.get("/used", (_, response) => {
  setSettlementOverrides(response, { amount: "1234" });
  response.json({ run: (runs += 1) });
});
app.get("/runs", (_, response) => response.json({ runs }));
const server = app.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
