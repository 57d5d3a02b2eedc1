//! What the demo shows, step by step. Every step is checked: a demo that lies is worse than none.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use devchain::DevChain;
use serde_json::Value;
use x402_core::{time::UnixSeconds, wire::v2};
use x402_evm::{EvmSigner, random_nonce};

use crate::{
    BoxError,
    client::{Answer, get},
    paint::Paint,
};

pub(crate) struct Story<'a> {
    pub(crate) paint: &'a Paint,
    pub(crate) chain: &'a DevChain,
    pub(crate) url: &'a str,
    pub(crate) signer: EvmSigner,
    pub(crate) payer: &'a str,
    pub(crate) seller: &'a str,
}

impl Story<'_> {
    pub(crate) fn tell(&self) -> Result<(), BoxError> {
        let url = format!("{}/weather/oslo", self.url);
        let before = self.balances()?;

        let accepted = self.ask(&url)?;
        let payment = self.sign(&accepted)?;
        let first = self.pay(&url, &payment, before)?;
        self.pay_again(&url, &payment, &first)?;
        self.tamper(&url, &payment)
    }

    fn ask(&self, url: &str) -> Result<v2::PaymentRequirements, BoxError> {
        self.paint.title("1. Ask without paying");
        self.paint.code(&format!("GET {url}"));
        let answer = get(url, None)?;
        self.paint.status(answer.status, "Payment Required");
        check(answer.status == 402, "the route asks for payment", &answer)?;
        let accepted = &answer.terms["accepts"][0];
        for (name, path) in [
            ("scheme", "/scheme"),
            ("network", "/network"),
            ("amount", "/amount"),
            ("asset", "/asset"),
            ("pay to", "/payTo"),
            ("quote", "/extra/quote/id"),
            ("nonce", "/extra/quote/nonce"),
            ("expires at", "/extra/quote/expiresAt"),
        ] {
            self.paint.field(name, &plain(accepted.pointer(path).unwrap_or(&Value::Null)));
        }
        self.paint.line("The body carries the same terms for version 1 clients.");
        Ok(serde_json::from_value(accepted.clone())?)
    }

    fn sign(&self, accepted: &v2::PaymentRequirements) -> Result<Vec<u8>, BoxError> {
        self.paint.title("2. Sign an authorization");
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let header = self.signer.payment_v2(accepted, None, UnixSeconds::new(now), random_nonce())?;
        let message: Value = serde_json::from_slice(&STANDARD.decode(&header)?)?;
        let authorization = &message["payload"]["authorization"];
        for name in ["from", "to", "value", "validBefore", "nonce"] {
            self.paint.field(name, &plain(&authorization[name]));
        }
        self.paint.line("Signed off chain: no gas, and nothing has moved yet.");
        Ok(header.to_vec())
    }

    fn pay(&self, url: &str, payment: &[u8], before: (u128, u128)) -> Result<Answer, BoxError> {
        self.paint.title("3. Ask again, with the payment");
        let answer = get(url, Some(payment))?;
        self.paint.status(answer.status, answer.body.trim_end());
        check(answer.status == 200, "the paid request is served", &answer)?;
        self.paint.field("transaction", &plain(&answer.receipt["transaction"]));
        self.paint.field("paid by", &plain(&answer.receipt["payer"]));
        let after = self.balances()?;
        self.paint.field("payer", &format!("{} -> {} USDC", usdc(before.0), usdc(after.0)));
        self.paint.field("seller", &format!("{} -> {} USDC", usdc(before.1), usdc(after.1)));
        check(
            before.0 - after.0 == PRICE && after.1 - before.1 == PRICE,
            "exactly the price moved",
            &answer,
        )?;
        Ok(answer)
    }

    fn pay_again(&self, url: &str, payment: &[u8], first: &Answer) -> Result<(), BoxError> {
        self.paint.title("4. The same payment again");
        let balances = self.balances()?;
        let answer = get(url, Some(payment))?;
        self.paint.status(answer.status, answer.body.trim_end());
        check(answer.status == 200 && answer.replayed, "a retry gets the kept response", &answer)?;
        check(answer.receipt == first.receipt, "with the same receipt", &answer)?;
        check(self.balances()? == balances, "nothing was charged", &answer)?;
        check(self.transfers()? == 1, "there is one transfer on the chain", &answer)?;
        self.paint.good("the kept response and the same receipt; nothing was charged");
        Ok(())
    }

    fn tamper(&self, url: &str, payment: &[u8]) -> Result<(), BoxError> {
        self.paint.title("5. A tampered payment");
        let mut message: Value = serde_json::from_slice(&STANDARD.decode(payment)?)?;
        let nonce = message["payload"]["authorization"]["nonce"].as_str().ok_or("a payment has a nonce")?;
        let last = if nonce.ends_with('0') { '1' } else { '0' };
        let tampered = format!("{}{last}", &nonce[..nonce.len() - 1]);
        message["payload"]["authorization"]["nonce"] = Value::String(tampered);
        self.paint.line("One digit of the nonce is changed, to make an old payment look new.");
        let answer = get(url, Some(STANDARD.encode(message.to_string()).as_bytes()))?;
        self.paint.status(answer.status, &plain(&answer.terms["error"]));
        check(answer.status == 402, "a tampered payment is refused", &answer)?;
        check(self.transfers()? == 1, "there is still one transfer on the chain", &answer)?;
        self.paint.good("refused before anything was stored or sent; one transfer on the chain in all");
        Ok(())
    }

    fn balances(&self) -> Result<(u128, u128), BoxError> {
        Ok((self.chain.balance(self.payer)?, self.chain.balance(self.seller)?))
    }

    fn transfers(&self) -> Result<usize, BoxError> {
        Ok(self.chain.transfers_to(self.seller)?)
    }
}

fn check(holds: bool, what: &str, answer: &Answer) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(format!("expected that {what}, got {answer:?}").into()) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn usdc(units: u128) -> String {
    format!("{}.{:06}", units / 1_000_000, units % 1_000_000)
}

const PRICE: u128 = 10_000;
