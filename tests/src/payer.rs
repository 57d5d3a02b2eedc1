//! The paying side: reads a 402, signs, and makes the header; and whatever a dishonest one would make of it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use devchain::Account;
use serde_json::{Value, json};
use x402_core::{
    price::{AtomicAmount, PriceOption},
    time::UnixSeconds,
};
use x402_evm::{AuthorizationWindow, EvmSigner, random_nonce};

use crate::Response;

/// What a 402 asks for, in both dialects.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The content of `PAYMENT-REQUIRED`.
    pub v2: Value,
    /// The body.
    pub v1: Value,
}

impl Challenge {
    /// Reads a 402.
    ///
    /// # Panics
    /// When the response is none.
    #[must_use]
    #[track_caller]
    pub fn of(response: &Response) -> Self {
        assert_eq!(response.status, 402, "{:?} {}", response.headers, response.text());
        let v2 = response.decoded("payment-required").expect("a challenge has its header");
        Self { v2, v1: response.json() }
    }

    /// The first way to pay, in version 2.
    #[must_use]
    pub fn terms(&self) -> Value {
        self.v2["accepts"][0].clone()
    }
}

/// When a signed authorization is good.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The second after which it is.
    pub valid_after: u64,
    /// The second from which on it is not.
    pub valid_before: u64,
}

impl Window {
    /// From ever to so many seconds ahead.
    #[must_use]
    pub fn seconds(ahead: u64) -> Self {
        Self { valid_after: 0, valid_before: now() + ahead }
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::seconds(300)
    }
}

/// The present second.
///
/// # Panics
/// Before 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}

/// Somebody with a key and money.
#[derive(Clone, Debug)]
pub struct Payer {
    signer: EvmSigner,
    address: String,
}

impl Payer {
    /// The holder of an account of the development chain.
    ///
    /// # Panics
    /// Never: the accounts have good keys.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let signer = EvmSigner::from_hex(account.key).expect("the chain's accounts have good keys");
        Self { signer, address: account.address.to_owned() }
    }

    /// One of many without an account of the chain's own, and without money.
    ///
    /// # Panics
    /// With number 0, which is no key.
    #[must_use]
    pub fn numbered(number: u64) -> Self {
        let signer = EvmSigner::from_hex(&format!("0x{number:064x}")).expect("small numbers are good keys");
        let address = signer.address().to_string();
        Self { signer, address }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Signs exactly what `terms` ask for, an entry of a version 2 challenge: the scheme's payload.
    ///
    /// # Panics
    /// When the terms cannot be read.
    #[must_use]
    #[track_caller]
    pub fn sign(&self, terms: &Value, window: Window) -> Value {
        let terms = serde_json::from_value(terms.clone()).expect("terms have the shape of terms");
        let option = PriceOption::from_v2(&terms).expect("terms can be read");
        let window = AuthorizationWindow {
            valid_after: UnixSeconds::new(window.valid_after),
            valid_before: UnixSeconds::new(window.valid_before),
        };
        self.signer.authorize(&option, window, random_nonce()).expect("terms can be signed")
    }

    /// Pays a challenge in version 2, as an honest client does.
    #[must_use]
    #[track_caller]
    pub fn v2(&self, challenge: &Challenge) -> Payment {
        self.v2_within(challenge, Window::default())
    }

    /// The same with another window.
    #[must_use]
    #[track_caller]
    pub fn v2_within(&self, challenge: &Challenge, window: Window) -> Payment {
        self.v2_signing(challenge, &challenge.terms(), window)
    }

    /// A version 2 payment that echoes the challenge's terms and signs `terms`.
    #[must_use]
    #[track_caller]
    pub fn v2_signing(&self, challenge: &Challenge, terms: &Value, window: Window) -> Payment {
        Payment {
            header: "PAYMENT-SIGNATURE",
            json: json!({
                "x402Version": 2,
                "resource": challenge.v2["resource"],
                "accepted": challenge.terms(),
                "payload": self.sign(terms, window),
            }),
        }
    }

    /// Pays a challenge in version 2 with an approval of Permit2 that is signed, too, as the challenge declares. `token_nonce`
    /// is how many approvals the payer signed before.
    ///
    /// # Panics
    /// When the challenge asks for something else.
    #[must_use]
    #[track_caller]
    pub fn v2_approving(&self, challenge: &Challenge, token_nonce: u64) -> Payment {
        let terms = serde_json::from_value(challenge.terms()).expect("terms have the shape of terms");
        let option = PriceOption::from_v2(&terms).expect("terms can be read");
        let deadline = UnixSeconds::new(Window::default().valid_before);
        let approval = self.signer.approve_permit2(&option, AtomicAmount::from(token_nonce).get(), deadline);
        let mut extensions = challenge.v2["extensions"].clone();
        let info = &mut extensions["eip2612GasSponsoring"]["info"];
        let declared = info.as_object_mut().expect("approvals are asked for");
        let Ok(Value::Object(signed)) = approval else { panic!("terms can be approved: {approval:?}") };
        declared.extend(signed);
        self.v2(challenge).with(|json| json["extensions"] = extensions)
    }

    /// A version 2 payment up to a ceiling, with a signature that only a scripted facilitator takes.
    ///
    /// # Panics
    /// When the challenge asks for something else.
    #[must_use]
    #[track_caller]
    pub fn unsigned_upto(&self, challenge: &Challenge) -> Payment {
        let terms = challenge.terms();
        assert_eq!(terms["scheme"], "upto");
        let nonce = random_nonce().iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let payload = json!({
            "signature": format!("0x{}", "1b".repeat(65)),
            "permit2Authorization": {
                "from": self.address,
                "permitted": { "token": terms["asset"], "amount": terms["amount"] },
                "spender": UPTO_PROXY,
                "nonce": nonce,
                "deadline": Window::default().valid_before.to_string(),
                "witness": {
                    "to": terms["payTo"],
                    "facilitator": terms["extra"]["facilitatorAddress"],
                    "validAfter": "0",
                },
            },
        });
        Payment {
            header: "PAYMENT-SIGNATURE",
            json: json!({
                "x402Version": 2,
                "resource": challenge.v2["resource"],
                "accepted": terms,
                "payload": payload,
            }),
        }
    }

    /// Pays a challenge in version 1, as an honest client does.
    #[must_use]
    #[track_caller]
    pub fn v1(&self, challenge: &Challenge) -> Payment {
        self.v1_within(challenge, Window::default())
    }

    /// The same with another window.
    #[must_use]
    #[track_caller]
    pub fn v1_within(&self, challenge: &Challenge, window: Window) -> Payment {
        self.v1_signing(challenge, &v1_as_v2(&challenge.v1["accepts"][0]), window)
    }

    /// A version 1 payment that signs `terms`, in their version 2 form.
    #[must_use]
    #[track_caller]
    pub fn v1_signing(&self, challenge: &Challenge, terms: &Value, window: Window) -> Payment {
        let asked = &challenge.v1["accepts"][0];
        Payment {
            header: "X-PAYMENT",
            json: json!({
                "x402Version": 1,
                "scheme": asked["scheme"],
                "network": asked["network"],
                "payload": self.sign(terms, window),
            }),
        }
    }
}

/// Who is allowed to spend, where what was used is charged.
const UPTO_PROXY: &str = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";

fn v1_as_v2(asked: &Value) -> Value {
    assert_eq!(asked["network"], "base-sepolia", "the tests' chain");
    json!({
        "scheme": asked["scheme"],
        "network": "eip155:84532",
        "amount": asked["maxAmountRequired"],
        "asset": asked["asset"],
        "payTo": asked["payTo"],
        "maxTimeoutSeconds": asked["maxTimeoutSeconds"],
        "extra": asked["extra"],
    })
}

/// A payment, still open to changes.
#[derive(Clone, Debug)]
pub struct Payment {
    header: &'static str,
    /// The message.
    pub json: Value,
}

impl Payment {
    /// Puts it into another header than that of its dialect.
    #[must_use]
    pub fn in_header(self, header: &'static str) -> Self {
        Self { header, ..self }
    }

    /// Changes the message.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.json);
        self
    }

    /// Gives it a name, as a client does that knows the extension.
    #[must_use]
    pub fn named(self, id: &str) -> Self {
        self.with(|json| {
            json["extensions"]["payment-identifier"]["info"] = json!({ "required": false, "id": id });
        })
    }

    /// The nonce of its authorization (EIP-3009).
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    #[track_caller]
    pub fn nonce(&self) -> &str {
        self.json["payload"]["authorization"]["nonce"].as_str().expect("an authorization has a nonce")
    }

    /// The header it goes into.
    #[must_use]
    pub const fn header_name(&self) -> &'static str {
        self.header
    }

    /// The header's value.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64_STANDARD.encode(self.json.to_string())
    }
}
