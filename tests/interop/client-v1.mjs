import { createSigner, decodeXPaymentResponse, wrapFetchWithPayment } from "x402-fetch";
import { counted } from "./script.mjs";

/** The legacy v1 client on Base Sepolia, with its default limit of 0.10 USDC. */
export const v1 = {
  paymentHeader: "X-PAYMENT",
  receiptHeader: "X-PAYMENT-RESPONSE",
  decode: decodeXPaymentResponse,
  async payingFetch(fetch, key, tally) {
    return wrapFetchWithPayment(fetch, counted(await createSigner("base-sepolia", key), tally));
  },
};
