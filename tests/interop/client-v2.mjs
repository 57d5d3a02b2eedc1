import { ExactEvmScheme } from "@x402/evm";
import { UptoEvmScheme } from "@x402/evm/upto/client";
import { appendPaymentIdentifierToExtensions } from "@x402/extensions/payment-identifier";
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";
import { counted } from "./script.mjs";

/**
 * The v2 client as its README sets it up, with its default limits: $1 a payment, known assets only. Where a server offers
 * the extension it names its payments as `PAYMENT_ID` says. With a node at `RPC_URL` it looks whether Permit2 is approved,
 * and signs the approval where it is not and a server offers to bring it along.
 */
export const v2 = {
  paymentHeader: "PAYMENT-SIGNATURE",
  receiptHeader: "PAYMENT-RESPONSE",
  decode: decodePaymentResponseHeader,
  async payingFetch(fetch, key, tally) {
    const signer = counted(privateKeyToAccount(key), tally);
    const chain = { rpcUrl: process.env.RPC_URL };
    const client = new x402Client()
      .register("eip155:*", new ExactEvmScheme(signer, chain))
      .register("eip155:*", new UptoEvmScheme(signer, chain));
    const id = process.env.PAYMENT_ID;
    if (id !== undefined) {
      client.onBeforePaymentCreation(async ({ paymentRequired }) => {
        appendPaymentIdentifierToExtensions(paymentRequired.extensions ?? {}, id);
      });
    }
    return wrapFetchWithPayment(fetch, client);
  },
};
