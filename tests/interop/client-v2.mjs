import { ExactEvmScheme } from "@x402/evm";
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";
import { counted } from "./script.mjs";

/** The v2 client as its README sets it up, with its default limits: $1 a payment, known assets only. */
export const v2 = {
  paymentHeader: "PAYMENT-SIGNATURE",
  receiptHeader: "PAYMENT-RESPONSE",
  decode: decodePaymentResponseHeader,
  async payingFetch(fetch, key, tally) {
    const signer = counted(privateKeyToAccount(key), tally);
    return wrapFetchWithPayment(fetch, new x402Client().register("eip155:*", new ExactEvmScheme(signer)));
  },
};
