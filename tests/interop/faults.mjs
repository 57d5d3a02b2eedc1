// How a facilitator fails. A fault is `{ endpoint, nonce, kind, moved, ms }`: one call of `endpoint` (`settle` or `verify`) for
// the authorization with that nonce goes wrong, and the money moves before it does, or not at all.
//
// | kind | the caller gets |
// | --- | --- |
// | `delay` | the true answer, `ms` late; with `moved: false` the money moves as late |
// | `500` | an error |
// | `truncated` | half of an answer |
// | `hangup` | nothing: the connection is closed |
// | `refuse` | no |
// | `pending` | `settlement_pending`; the transaction is mined `ms` after it was sent |
// | `lie_settled` | that it is settled, in a transaction nobody knows |
// | `lie_amount`, `lie_payer`, `lie_network`, `lie_transaction` | the same with a part that is wrong |
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const STRANGER = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f";
/** How long a receipt is waited for while a fault is about one that does not come. */
const SHORT_PATIENCE = 1000;

const LIES = {
  lie_settled: () => {},
  lie_amount: (told) => (told.amount = "1"),
  lie_payer: (told) => (told.payer = STRANGER),
  lie_network: (told) => (told.network = "eip155:8453"),
  lie_transaction: (told) => (told.transaction = anyHash()),
};

/** The faults to come, by endpoint and nonce. */
export class Faults {
  /** Milliseconds for a receipt; undefined: as usual. */
  patience;
  #chain;
  #waiting = new Map();

  constructor(chain) {
    this.#chain = chain;
  }

  add(fault) {
    const place = `${fault.endpoint} ${fault.nonce.toLowerCase()}`;
    this.#waiting.set(place, [...(this.#waiting.get(place) ?? []), fault]);
    return fault;
  }

  /** Answers a call: `honest` does what it asks for. */
  async meet(endpoint, call, honest, response) {
    const fault = this.#waiting.get(`${endpoint} ${nonceOf(call)}`)?.shift();
    if (!fault) return send(response, 200, await honest());
    if (fault.kind === "pending") return send(response, 200, await this.#mineLate(honest, fault.ms));
    const truth = fault.moved ? await honest() : receiptOf(call);
    switch (fault.kind) {
      case "delay":
        await sleep(fault.ms);
        return send(response, 200, fault.moved ? truth : await honest());
      case "500":
        return send(response, 500, { error: "out of order" });
      case "truncated":
        return truncate(response, truth);
      case "hangup":
        return response.socket.destroy();
      case "refuse":
        return send(response, 200, refusal(endpoint, call));
      default:
        LIES[fault.kind](truth);
        return send(response, 200, truth);
    }
  }

  async #mineLate(honest, ms) {
    const node = (method, ...params) => this.#chain.request({ method, params });
    await node("evm_setAutomine", false);
    this.patience = SHORT_PATIENCE;
    const mined = sleep(ms).then(async () => {
      await node("evm_setAutomine", true);
      await node("evm_mine");
      this.patience = undefined;
    });
    mined.catch((error) => console.error(error.message));
    return honest();
  }
}

function truncate(response, body) {
  const whole = JSON.stringify(body);
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": whole.length });
  response.write(whole.slice(0, whole.length / 2), () => response.socket.destroy());
}

function send(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
}

/** What would be told of a settlement that was none. */
function receiptOf({ paymentPayload, paymentRequirements }) {
  const payer = paymentPayload.payload.authorization.from;
  return { success: true, isValid: true, payer, transaction: anyHash(), network: paymentRequirements.network };
}

function refusal(endpoint, call) {
  const { payer, network } = receiptOf(call);
  const reason = "invalid_exact_evm_insufficient_balance";
  return endpoint === "verify"
    ? { isValid: false, invalidReason: reason, payer }
    : { success: false, errorReason: reason, transaction: "", network, payer };
}

const nonceOf = ({ paymentPayload }) => paymentPayload.payload?.authorization?.nonce?.toLowerCase();
const anyHash = () => `0x${randomBytes(32).toString("hex")}`;
