// A server on the parts that the legacy SDK gives to servers: `GET /paid` for $0.001 to PAY_TO, through the facilitator at
// FACILITATOR_URL. It prints `listening on http://127.0.0.1:PORT`; `GET /runs` tells how often the paid handler ran.
import { createServer } from "node:http";
import { exact } from "x402/schemes";
import { processPriceToAtomicAmount } from "x402/shared";
import { settleResponseHeader } from "x402/types";
import { useFacilitator } from "x402/verify";

const { FACILITATOR_URL, PAY_TO } = process.env;
const { verify, settle } = useFacilitator({ url: FACILITATOR_URL });
const NETWORK = "base-sepolia";
const { maxAmountRequired, asset } = processPriceToAtomicAmount("$0.001", NETWORK);

let runs = 0;
const server = createServer(async (request, response) => {
  const send = (status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (request.url === "/runs") return send(200, { runs });
  const terms = {
    scheme: "exact",
    network: NETWORK,
    maxAmountRequired,
    resource: `http://${request.headers.host}${request.url}`,
    description: "Something paid",
    mimeType: "application/json",
    payTo: PAY_TO,
    maxTimeoutSeconds: 300,
    asset: asset.address,
    extra: asset.eip712,
  };
  const refuse = (error, payer) => send(402, { x402Version: 1, error, accepts: [terms], payer });
  try {
    const header = request.headers["x-payment"];
    if (header === undefined) return refuse("X-PAYMENT header is required");
    const payment = exact.evm.decodePayment(header);
    payment.x402Version = 1;
    const verified = await verify(payment, terms);
    if (!verified.isValid) return refuse(verified.invalidReason, verified.payer);
    runs += 1;
    const settled = await settle(payment, terms);
    if (!settled.success) return refuse(settled.errorReason, settled.payer);
    response.setHeader("X-PAYMENT-RESPONSE", settleResponseHeader(settled));
    send(200, { run: runs });
  } catch (error) {
    send(500, { error: error.message });
  }
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
