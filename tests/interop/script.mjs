// What the scripts share: arguments in, one JSON line out. A client is one of client-v1.mjs, client-v2.mjs.

/** Pays for one request and prints what came back. */
export function pay(client) {
  return main(async ({ url, init, key }) => {
    const tally = { signed: 0 };
    const payingFetch = await client.payingFetch(fetch, key, tally);
    const response = await payingFetch(url, init);
    const receipt = response.headers.get(client.receiptHeader);
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
      settlement: receipt === null ? null : client.decode(receipt),
      signed: tally.signed,
    };
  });
}

/** Lets the client sign for one request, keeps the paid request back and prints its payment header. */
export function sign(client) {
  return main(async ({ url, init, key }) => {
    let value = null;
    const holdBack = async (input, init) => {
      const paid = new Request(input, init).headers.get(client.paymentHeader);
      if (paid === null) return fetch(input, init);
      value = paid;
      return new Response(null, { status: 204 });
    };
    const payingFetch = await client.payingFetch(holdBack, key, { signed: 0 });
    const response = await payingFetch(url, init);
    if (value === null) throw new Error(`${url} asked for no payment: status ${response.status}`);
    return { header: client.paymentHeader, value };
  });
}

/** The signer, counting its signatures in `tally.signed`. */
export function counted(signer, tally) {
  const signTypedData = (message) => {
    tally.signed += 1;
    return signer.signTypedData(message);
  };
  return { ...signer, signTypedData };
}

async function main(run) {
  const [method, url, body] = process.argv.slice(2);
  const key = process.env.PAYER_KEY;
  if (!url || !key) {
    console.error("usage: PAYER_KEY=0x.. node SCRIPT METHOD URL [BODY]");
    process.exitCode = 2;
    return;
  }
  try {
    console.log(JSON.stringify(await run({ url, init: { method, body }, key })));
  } catch (error) {
    console.error(error.cause ? `${error.message}: ${error.cause.message}` : error.message);
    process.exitCode = 1;
  }
}
