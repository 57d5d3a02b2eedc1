use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde_json::{Value, json};
use x402_core::{
    Engine, Triage,
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, Proof, Scheme},
    time::{Clock, SystemClock, UnixSeconds},
    wire::{header, v2},
};
use x402_evm::{EvmSigner, ExactEvm};

use crate::{Head, PAY_TO};

/// Pays an engine's challenges with real signatures, well and badly.
#[derive(Debug)]
pub struct Payments {
    signer: EvmSigner,
    challenge: v2::PaymentRequired,
}

impl Payments {
    /// Asks the engine for its terms.
    ///
    /// # Panics
    /// When it does not answer with a challenge.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self::by(7, engine)
    }

    /// The same, with this payer's account.
    ///
    /// # Panics
    /// When it does not answer with a challenge, or the payer is 0.
    #[must_use]
    pub fn by(payer: u8, engine: &Engine) -> Self {
        let Triage::Reply(reply) = engine.triage(&Head::unpaid()) else { panic!("the path is priced") };
        let text = reply.get(header::PAYMENT_REQUIRED).expect("a 402 carries terms");
        let challenge = header::decode_json(text, text.len()).expect("terms can be read");
        let signer = EvmSigner::from_bytes([payer; 32]).expect("the key is one");
        Self { signer, challenge }
    }

    /// A payment that is good, with a nonce of its own.
    #[must_use]
    pub fn good(&self) -> Bytes {
        self.signed_at(SystemClock.now())
    }

    /// A payment whose signature is good and whose time is over.
    #[must_use]
    pub fn late(&self) -> Bytes {
        self.signed_at(UnixSeconds::new(SystemClock.now().get() - 3600))
    }

    /// A payment of another amount than was asked.
    #[must_use]
    pub fn wrong_amount(&self) -> Bytes {
        self.altered("value", json!("1"))
    }

    /// A payment to somebody else.
    #[must_use]
    pub fn wrong_recipient(&self) -> Bytes {
        self.altered("to", json!(PAY_TO.replace('9', "8").to_lowercase()))
    }

    /// Base64 around JSON that is no payment.
    #[must_use]
    pub fn malformed(&self) -> Bytes {
        header::encode(&json!({ "x402Version": 2, "accepted": self.challenge.accepts[0], "payload": 7 }))
    }

    /// Bytes that are not base64.
    #[must_use]
    pub fn garbage(&self) -> Bytes {
        Bytes::from(vec![b'!'; self.good().len()])
    }

    fn signed_at(&self, now: UnixSeconds) -> Bytes {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&NONCES.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let resource = Some(self.challenge.resource.clone());
        let signed = self.signer.payment_v2(&self.challenge.accepts[0], resource, now, nonce);
        signed.expect("the terms can be signed")
    }

    fn altered(&self, member: &str, value: Value) -> Bytes {
        let good = self.good();
        let mut payment: Value = header::decode_json(&good, good.len()).expect("the payment can be read");
        payment["payload"]["authorization"][member] = value;
        header::encode(&payment)
    }
}

/// No two payments of a process have the same nonce.
static NONCES: AtomicU64 = AtomicU64::new(0);

/// [`ExactEvm`], counting the signatures it is asked to prove. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct CountingScheme {
    scheme: ExactEvm,
    proved: Arc<AtomicUsize>,
}

impl CountingScheme {
    /// How many signatures it was asked to prove.
    #[must_use]
    pub fn proved(&self) -> usize {
        self.proved.load(Ordering::Relaxed)
    }
}

impl Scheme for CountingScheme {
    fn name(&self) -> &'static str {
        self.scheme.name()
    }

    fn read(&self, payload: &Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        self.scheme.read(payload, option)
    }

    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
        self.proved.fetch_add(1, Ordering::Relaxed);
        self.scheme.prove(authorization, option)
    }
}
