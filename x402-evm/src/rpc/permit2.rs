//! What is read from Permit2, and how its proxies are called.

use ruint::aliases::U256;
use x402_core::{
    scheme::{EXACT_PERMIT2_PROXY, EvmAddress, PERMIT2, Permit2, UPTO_PERMIT2_PROXY},
    time::UnixSeconds,
};

use super::{
    Rpc,
    abi::{self, append, encode, number, size},
};
use crate::{
    error::ChainError,
    typed_data::{Hash, word},
};

/// An approval of EIP-2612 with its signature, as a proxy takes it along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SignedPermit {
    pub(crate) value: U256,
    pub(crate) deadline: U256,
    pub(crate) r: Hash,
    pub(crate) s: Hash,
    pub(crate) v: u8,
}

impl SignedPermit {
    /// Whether it is still taken at that time.
    pub(crate) fn lasts_until(&self, time: UnixSeconds) -> bool {
        self.deadline >= U256::from(time.get())
    }
}

impl Rpc {
    /// Whether the owner's nonce was used or given up, in the given block or the latest. Where Permit2 is not, no nonce is.
    pub(crate) async fn permit2_nonce_used(
        &self,
        owner: EvmAddress,
        nonce: U256,
        block: Option<u64>,
    ) -> Result<bool, ChainError> {
        let data = encode(NONCE_BITMAP, &[word(owner), number(nonce >> 8)]);
        let answer = self.view(PERMIT2, data, block).await?;
        if answer.is_empty() {
            return Ok(false);
        }
        let bits = abi::word_at(&answer, 0).map(U256::from_be_bytes::<32>);
        let bits = bits.ok_or(ChainError::Lost("nonceBitmap gives no number"))?;
        Ok(bits.bit(usize::from(nonce.byte(0))))
    }

    /// How much of the holder's tokens Permit2 may move.
    pub(crate) async fn permit2_allowance(
        &self,
        token: EvmAddress,
        holder: EvmAddress,
    ) -> Result<U256, ChainError> {
        let answer = self.view(token, encode(ALLOWANCE, &[word(holder), word(PERMIT2)]), None).await?;
        let allowance = abi::word_at(&answer, 0).map(U256::from_be_bytes);
        allowance.ok_or_else(|| {
            ChainError::misconfigured("asset_not_deployed_contract", "allowance gives no number")
        })
    }
}

/// The proxy's `settle`, or its `settleWithPermit` where an approval is brought along. What `exact` moves is what was
/// permitted, whatever `amount` says.
pub(crate) fn settle(
    message: &Permit2,
    amount: U256,
    signature: &[u8],
    approval: Option<&SignedPermit>,
) -> Vec<u8> {
    let mut words = Vec::with_capacity(16);
    if let Some(SignedPermit { value, deadline, r, s, v }) = approval {
        words.extend([number(*value), number(*deadline), *r, *s, number(U256::from(*v))]);
    }
    let permitted = [message.amount, message.nonce, message.deadline].map(number);
    words.push(word(message.token));
    words.extend(permitted);
    let [plain, with_permit] = match message.witness.facilitator {
        None => {
            words.extend([word(message.owner), word(message.witness.to)]);
            EXACT
        }
        Some(facilitator) => {
            words.extend([number(amount), word(message.owner), word(message.witness.to), word(facilitator)]);
            UPTO
        }
    };
    words.push(number(message.witness.valid_after));
    words.push(size(32 * (words.len() + 1)));
    let mut data = encode(if approval.is_some() { with_permit } else { plain }, &words);
    append(&mut data, signature);
    data
}

/// A call of a proxy, as somebody's transaction has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ProxyCall {
    pub(crate) token: EvmAddress,
    pub(crate) nonce: U256,
    pub(crate) owner: EvmAddress,
    pub(crate) to: EvmAddress,
    /// What it asks to move.
    pub(crate) amount: U256,
}

/// The calls of `proxy` that stand in a transaction to `target`: the one it is, or those that it hands on.
pub(crate) fn proxy_calls(proxy: EvmAddress, target: EvmAddress, input: &[u8]) -> Vec<ProxyCall> {
    if target == proxy {
        return proxy_call(proxy, input).into_iter().collect();
    }
    (0..input.len()).filter_map(|start| proxy_call(proxy, &input[start..])).collect()
}

fn proxy_call(proxy: EvmAddress, data: &[u8]) -> Option<ProxyCall> {
    let upto = proxy == UPTO_PERMIT2_PROXY;
    let [plain, with_permit] = if upto { UPTO } else { EXACT };
    let (selector, arguments) = data.split_at_checked(4)?;
    let first: usize = match selector {
        selector if selector == plain => 0,
        selector if selector == with_permit => 5,
        _ => return None,
    };
    let number = |index: usize| abi::word_at(arguments, first + index).map(U256::from_be_bytes);
    let account = |index: usize| abi::address_at(arguments, first + index);
    let (amount, owner) = if upto { (4, 5) } else { (1, 4) };
    Some(ProxyCall {
        token: account(0)?,
        nonce: number(2)?,
        owner: account(owner)?,
        to: account(owner + 1)?,
        amount: number(amount)?,
    })
}

/// The proxy that settles `exact`, or `upto`.
pub(crate) const fn proxy(upto: bool) -> EvmAddress {
    if upto { UPTO_PERMIT2_PROXY } else { EXACT_PERMIT2_PROXY }
}

const NONCE_BITMAP: [u8; 4] = [0x4f, 0xe0, 0x2b, 0x44];
const ALLOWANCE: [u8; 4] = [0xdd, 0x62, 0xed, 0x3e];
/// `settle` and `settleWithPermit`.
const EXACT: [[u8; 4]; 2] = [[0x13, 0xcd, 0x3b, 0x53], [0xfa, 0x34, 0x03, 0x78]];
const UPTO: [[u8; 4]; 2] = [[0xff, 0x11, 0xe7, 0xb4], [0x01, 0x6c, 0x17, 0x48]];

#[cfg(test)]
mod tests {
    use x402_core::scheme::Permit2Witness;

    use super::*;
    use crate::typed_data::keccak;

    fn message(upto: bool) -> Permit2 {
        Permit2 {
            owner: EvmAddress::new([1; 20]),
            token: EvmAddress::new([2; 20]),
            amount: U256::from(500),
            spender: proxy(upto),
            nonce: U256::from(0x0102),
            deadline: U256::from(9),
            witness: Permit2Witness {
                to: EvmAddress::new([3; 20]),
                facilitator: upto.then_some(EvmAddress::new([4; 20])),
                valid_after: U256::from(7),
            },
            signature: Vec::new(),
        }
    }

    #[test]
    fn selectors_are_those_of_their_signatures() {
        let permit = "((address,uint256),uint256,uint256)";
        let approval = "(uint256,uint256,bytes32,bytes32,uint8)";
        let exact = format!("{permit},address,(address,uint256),bytes)");
        let upto = format!("{permit},uint256,address,(address,address,uint256),bytes)");
        for (selector, signature) in [
            (NONCE_BITMAP, "nonceBitmap(address,uint256)".to_owned()),
            (ALLOWANCE, "allowance(address,address)".to_owned()),
            (EXACT[0], format!("settle({exact}")),
            (EXACT[1], format!("settleWithPermit({approval},{exact}")),
            (UPTO[0], format!("settle({upto}")),
            (UPTO[1], format!("settleWithPermit({approval},{upto}")),
        ] {
            assert_eq!(selector, keccak(signature.as_bytes())[..4], "{signature}");
        }
    }

    #[test]
    fn calls_are_found_where_they_stand_and_where_they_are_handed_on() {
        let approval =
            SignedPermit { value: U256::from(500), deadline: U256::MAX, r: [5; 32], s: [6; 32], v: 27 };
        for (upto, approval) in
            [(false, None), (true, None), (false, Some(&approval)), (true, Some(&approval))]
        {
            let message = message(upto);
            let data = settle(&message, U256::from(300), &[7; 65], approval);
            let wanted = ProxyCall {
                token: message.token,
                nonce: message.nonce,
                owner: message.owner,
                to: message.witness.to,
                amount: if upto { U256::from(300) } else { message.amount },
            };
            let other = EvmAddress::new([9; 20]);
            assert_eq!(proxy_calls(proxy(upto), proxy(upto), &data), [wanted]);
            assert_eq!(proxy_calls(proxy(upto), other, &data), [wanted]);
            assert_eq!(proxy_calls(proxy(!upto), proxy(!upto), &data), []);
            let twice = [&[1, 2, 3][..], &data, &data].concat();
            assert_eq!(proxy_calls(proxy(upto), other, &twice), [wanted, wanted]);
            assert_eq!(proxy_calls(proxy(upto), proxy(upto), &twice), [], "the proxy reads from the start");
            for length in 0..4 + 32 * 6 {
                assert_eq!(proxy_calls(proxy(upto), other, &data[..length]), [], "{length}");
            }
        }
    }
}
