//! A payer for tests.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ruint::aliases::U256;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{fake_permit2_signature, fake_signature};
use crate::{
    facilitator::Payment,
    price::{AtomicAmount, NetworkId, PriceOption, TransferMethod},
    scheme::{
        EXACT_PERMIT2_PROXY, Eip3009, EvmAddress, ExactEvmStructure, Permit2, Permit2Witness,
        UPTO_PERMIT2_PROXY, UptoEvmStructure,
    },
    time::{Clock, SystemClock},
    wire::{
        V1, V2, decode_payment,
        header::{decode_json, encode},
        v1, v2,
    },
};

/// Answers challenges as a stock client does, with the signatures of [`fake_signature`].
///
/// Deterministic: the name decides the address, and each payment of one payer has the next nonce. See the [module
/// docs](super) for an example.
pub struct TestPayer {
    address: EvmAddress,
    clock: Arc<dyn Clock>,
    signed: AtomicU64,
}

impl TestPayer {
    /// The payer of this name, on the system's clock.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let hash = Sha256::new().chain_update(b"x402 test payer\0").chain_update(name).finalize();
        let mut address = [0; 20];
        address.copy_from_slice(&hash[..20]);
        Self { address: EvmAddress::new(address), clock: Arc::new(SystemClock), signed: AtomicU64::new(0) }
    }

    /// Signs windows that begin by this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who pays.
    #[must_use]
    pub const fn address(&self) -> EvmAddress {
        self.address
    }

    /// The `PAYMENT-SIGNATURE` header that answers a `PAYMENT-REQUIRED` header. Every call is another payment.
    ///
    /// # Panics
    /// When the header is not a challenge, or offers nothing on an EVM chain.
    #[must_use]
    pub fn pay_v2(&self, payment_required: &[u8]) -> Bytes {
        let challenge =
            decode_json(payment_required, LARGEST_CHALLENGE).expect("PAYMENT-REQUIRED is a challenge");
        header(&self.answer_v2(&challenge))
    }

    /// The `X-PAYMENT` header that answers a 402's body. Every call is another payment.
    ///
    /// # Panics
    /// When the body is not a challenge, or offers nothing on an EVM chain.
    #[must_use]
    pub fn pay_v1(&self, body: &[u8]) -> Bytes {
        let challenge = serde_json::from_slice(body).expect("the body is a version 1 challenge");
        header(&self.answer_v1(&challenge))
    }

    /// The message behind [`pay_v2`](Self::pay_v2), to be changed before it is [sent](header).
    ///
    /// # Panics
    /// When the challenge offers nothing on an EVM chain.
    #[must_use]
    pub fn answer_v2(&self, challenge: &v2::PaymentRequired) -> v2::PaymentPayload {
        let read = |accepted| Some((accepted, PriceOption::from_v2(accepted).ok()?));
        let (accepted, option) = challenge
            .accepts
            .iter()
            .filter_map(read)
            .find(payable)
            .expect("something on an EVM chain is offered");
        v2::PaymentPayload {
            x402_version: V2,
            accepted: accepted.clone(),
            payload: self.sign(&option),
            resource: Some(challenge.resource.clone()),
            extensions: challenge.extensions.clone(),
        }
    }

    /// The message behind [`pay_v1`](Self::pay_v1), to be changed before it is [sent](header).
    ///
    /// # Panics
    /// When the challenge offers nothing on an EVM chain.
    #[must_use]
    pub fn answer_v1(&self, challenge: &v1::PaymentRequired) -> v1::PaymentPayload {
        let read = |accepted| Some((accepted, option_v1(accepted)?));
        let (accepted, option) = challenge
            .accepts
            .iter()
            .filter_map(read)
            .find(payable)
            .expect("something on an EVM chain is offered");
        v1::PaymentPayload {
            x402_version: V1,
            scheme: accepted.scheme.clone(),
            network: accepted.network.clone(),
            payload: payload(&self.authorize(&option)),
        }
    }

    /// Signs what `option` asks for with a new nonce, good from the beginning of time for as long as the option says.
    ///
    /// # Panics
    /// When the option is not on an EVM chain.
    #[must_use]
    pub fn authorize(&self, option: &PriceOption) -> Eip3009 {
        let lifetime = Duration::from_secs(option.max_timeout_seconds);
        let message = Eip3009 {
            from: self.address,
            to: option.pay_to.parse().expect("the recipient is an EVM address"),
            value: option.amount.get(),
            valid_after: U256::ZERO,
            valid_before: U256::from(self.clock.now().after(lifetime).get()),
            nonce: self.next_nonce(),
            signature: Vec::new(),
        };
        sign(message, option)
    }

    /// The same through Permit2, exactly or up to the option's amount.
    ///
    /// # Panics
    /// When the option is not on an EVM chain.
    #[must_use]
    pub fn authorize_permit2(&self, option: &PriceOption) -> Permit2 {
        let lifetime = Duration::from_secs(option.max_timeout_seconds);
        let facilitator = option.facilitator_address().filter(|_| option.is_upto());
        let mut message = Permit2 {
            owner: self.address,
            token: option.asset.parse().expect("the token is an EVM address"),
            amount: option.amount.get(),
            spender: if option.is_upto() { UPTO_PERMIT2_PROXY } else { EXACT_PERMIT2_PROXY },
            nonce: U256::from_be_bytes(self.next_nonce()),
            deadline: U256::from(self.clock.now().after(lifetime).get()),
            witness: Permit2Witness {
                to: option.pay_to.parse().expect("the recipient is an EVM address"),
                facilitator: facilitator.map(|account| account.parse().expect("an EVM address")),
                valid_after: U256::ZERO,
            },
            signature: Vec::new(),
        };
        let signature = fake_permit2_signature(&message, option).expect("the option is on an EVM chain");
        message.signature = signature.to_vec();
        message
    }

    /// The scheme's payload, made for how the option moves its token.
    fn sign(&self, option: &PriceOption) -> Value {
        match option.transfer_method() {
            TransferMethod::Permit2 => permit2_payload(&self.authorize_permit2(option)),
            _ => payload(&self.authorize(option)),
        }
    }

    /// A payment for `option` as the engine hands it to a [`Facilitator`](crate::facilitator::Facilitator), to test one
    /// by itself.
    ///
    /// # Panics
    /// When the option is not on an EVM chain.
    #[must_use]
    pub fn payment(&self, option: &PriceOption) -> Payment {
        let resource = v2::ResourceInfo { url: "https://api.example.com/".to_owned(), ..Default::default() };
        let accepts = vec![option.to_v2()];
        let resource_info = resource.clone();
        let challenge =
            v2::PaymentRequired { x402_version: V2, error: None, resource, accepts, extensions: None };
        let presented = decode_payment(&header(&self.answer_v2(&challenge))).expect("it was just encoded");
        let read =
            if option.is_upto() { UptoEvmStructure::authorization } else { ExactEvmStructure::authorization };
        let authorization = read(presented.payment.scheme_payload(), option);
        Payment::new(presented, option.clone(), resource_info, authorization.expect("it was just written"))
    }

    fn next_nonce(&self) -> [u8; 32] {
        let count = self.signed.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new().chain_update(b"x402 test nonce\0").chain_update(self.address.as_bytes());
        hash.chain_update(count.to_be_bytes()).finalize().into()
    }
}

impl fmt::Debug for TestPayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPayer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Signs, or signs again, a message that was made or changed by hand, in the signing domain of `option`'s token.
///
/// # Panics
/// When the option is not on an EVM chain.
#[must_use]
pub fn sign(mut message: Eip3009, option: &PriceOption) -> Eip3009 {
    message.signature = fake_signature(&message, option).expect("the option is on an EVM chain").to_vec();
    message
}

/// The `payload` member of a payment that carries `message`.
#[must_use]
pub fn payload(message: &Eip3009) -> Value {
    json!({
        "signature": hex(&message.signature),
        "authorization": {
            "from": message.from.to_string(),
            "to": message.to.to_string(),
            "value": message.value.to_string(),
            "validAfter": message.valid_after.to_string(),
            "validBefore": message.valid_before.to_string(),
            "nonce": hex(&message.nonce),
        },
    })
}

/// The same for a message to Permit2.
#[must_use]
pub fn permit2_payload(message: &Permit2) -> Value {
    let Permit2Witness { to, facilitator, valid_after } = message.witness;
    let mut witness = json!({ "to": to.to_string(), "validAfter": valid_after.to_string() });
    if let Some(facilitator) = facilitator {
        witness["facilitator"] = facilitator.to_string().into();
    }
    json!({
        "signature": hex(&message.signature),
        "permit2Authorization": {
            "from": message.owner.to_string(),
            "permitted": { "token": message.token.to_string(), "amount": message.amount.to_string() },
            "spender": message.spender.to_string(),
            "nonce": message.nonce.to_string(),
            "deadline": message.deadline.to_string(),
            "witness": witness,
        },
    })
}

/// The header text of a payment.
#[must_use]
pub fn header(message: &impl Serialize) -> Bytes {
    encode(message)
}

fn option_v1(accepted: &v1::PaymentRequirements) -> Option<PriceOption> {
    let network = NetworkId::from_v1_name(&accepted.network)?;
    let amount: AtomicAmount = accepted.max_amount_required.parse().ok()?;
    let mut option = PriceOption::new(network, accepted.asset.as_str(), amount, accepted.pay_to.as_str());
    option.scheme = accepted.scheme.as_str().into();
    option.max_timeout_seconds = accepted.max_timeout_seconds;
    Some(option)
}

fn payable<T>((_, option): &(T, PriceOption)) -> bool {
    let is_address = |text: &str| text.parse::<EvmAddress>().is_ok();
    let known = &*option.scheme == "exact" || option.facilitator_address().is_some_and(is_address);
    known && option.network.is_evm() && is_address(&option.asset) && is_address(&option.pay_to)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

/// More than any server sends.
const LARGEST_CHALLENGE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scheme::{Proof, Scheme},
        testing::{FakeClock, FakeSignatures, FakeUptoSignatures},
        time::UnixSeconds,
    };

    fn option() -> PriceOption {
        let network = NetworkId::new("eip155:84532").unwrap();
        PriceOption::new(
            network,
            format!("0x{:040x}", 1),
            AtomicAmount::from(1_000_u64),
            format!("0x{:040x}", 2),
        )
    }

    #[test]
    fn a_name_is_an_address_and_each_payment_has_its_nonce() {
        let (alice, again, bob) = (TestPayer::new("alice"), TestPayer::new("alice"), TestPayer::new("bob"));
        assert_eq!(alice.address(), again.address());
        assert_ne!(alice.address(), bob.address());
        let first = alice.authorize(&option());
        assert_ne!(first.nonce, alice.authorize(&option()).nonce);
        assert_eq!(first.nonce, again.authorize(&option()).nonce);
    }

    #[test]
    fn both_dialects_are_answered_with_what_was_asked() {
        let payer = TestPayer::new("alice").clock(FakeClock::default());
        let resource = v2::ResourceInfo { url: "https://api.example.com/".to_owned(), ..Default::default() };
        let v1 = v1::PaymentRequired {
            x402_version: V1,
            error: None,
            accepts: vec![option().to_v1(&resource).unwrap()],
            payer: None,
        };
        let v2 = v2::PaymentRequired {
            x402_version: V2,
            error: None,
            resource,
            accepts: vec![option().to_v2()],
            extensions: None,
        };
        let headers = [payer.pay_v1(&serde_json::to_vec(&v1).unwrap()), payer.pay_v2(&encode(&v2))];
        for header in headers {
            let presented = decode_payment(&header).unwrap();
            let authorization = FakeSignatures.read(presented.payment.scheme_payload(), &option()).unwrap();
            assert_eq!(authorization.amount, option().amount);
            assert_eq!(
                authorization.valid_before,
                UnixSeconds::new(1_800_000_000 + option().max_timeout_seconds)
            );
            assert_eq!(FakeSignatures.prove(&authorization, &option()).unwrap(), Proof::Signed);
        }
    }

    #[test]
    fn permit2_and_upto_are_answered_too() {
        let facilitator = format!("0x{:040x}", 9);
        let schemes: [(PriceOption, &dyn Scheme); 2] =
            [(option().permit2(), &FakeSignatures), (option().upto(&facilitator), &FakeUptoSignatures)];
        for (option, scheme) in schemes {
            let payment = TestPayer::new("alice").payment(&option);
            let authorization = scheme.read(payment.presented.payment.scheme_payload(), &option).unwrap();
            assert_eq!(authorization.digest, payment.authorization.digest);
            assert_eq!(scheme.prove(&authorization, &option), Ok(Proof::Signed));
            let mut other = authorization;
            if let crate::scheme::SignedMessage::Permit2(message) = &mut other.message {
                message.witness.valid_after += U256::ONE;
            }
            let refused = Err(crate::error::RejectReason::WrongSignature);
            assert_eq!(scheme.prove(&other, &option), refused);
        }
    }

    #[test]
    fn a_signature_covers_the_message_and_its_domain() {
        let honest = TestPayer::new("alice").authorize(&option());
        let proof = |message: &Eip3009, option: &PriceOption| {
            let authorization = FakeSignatures.read(&payload(message), option).unwrap();
            FakeSignatures.prove(&authorization, option)
        };
        assert_eq!(proof(&honest, &option()), Ok(Proof::Signed));
        let mut more = honest.clone();
        more.value += U256::from(1);
        let mut other_asset = option();
        other_asset.asset = format!("0x{:040x}", 3).into();
        let mut other_chain = option();
        other_chain.network = NetworkId::new("eip155:8453").unwrap();
        for (message, option) in [(&more, &option()), (&honest, &other_asset), (&honest, &other_chain)] {
            assert_eq!(proof(message, option), Err(crate::error::RejectReason::WrongSignature));
        }
        assert_eq!(proof(&sign(more.clone(), &option()), &option()), Ok(Proof::Signed));
    }
}
