//! The few calls that are made, encoded and decoded by hand.

use ruint::aliases::U256;
use x402_core::scheme::{Eip3009, EvmAddress};

use crate::typed_data::{Hash, word};

/// `transferWithAuthorization`: the `(v, r, s)` overload for 65 bytes, the `bytes` overload for anything else.
pub(crate) fn transfer(message: &Eip3009, signature: &[u8]) -> Vec<u8> {
    let mut words = vec![
        word(message.from),
        word(message.to),
        number(message.value),
        number(message.valid_after),
        number(message.valid_before),
        message.nonce,
    ];
    if let Ok(signature) = <&[u8; 65]>::try_from(signature) {
        words.push(number(U256::from(signature[64])));
        words.push(signature[..32].try_into().expect("32 bytes"));
        words.push(signature[32..64].try_into().expect("32 bytes"));
        return encode(TRANSFER_VRS, &words);
    }
    words.push(size(7 * 32));
    let mut data = encode(TRANSFER_BYTES, &words);
    append(&mut data, signature);
    data
}

/// `authorizationState(authorizer, nonce)`.
pub(crate) fn authorization_state(authorizer: EvmAddress, nonce: &Hash) -> Vec<u8> {
    encode(AUTHORIZATION_STATE, &[word(authorizer), *nonce])
}

/// `balanceOf(account)`.
pub(crate) fn balance_of(account: EvmAddress) -> Vec<u8> {
    encode(BALANCE_OF, &[word(account)])
}

/// `isValidSignature(hash, signature)` of ERC-1271.
pub(crate) fn is_valid_signature(hash: &Hash, signature: &[u8]) -> Vec<u8> {
    let mut data = encode(IS_VALID_SIGNATURE, &[*hash, size(64)]);
    append(&mut data, signature);
    data
}

/// `aggregate3` of [`MULTICALL3`]: calls in their order, each with whether it may fail.
pub(crate) fn aggregate(calls: &[(EvmAddress, &[u8], bool)]) -> Vec<u8> {
    let mut data = encode(AGGREGATE3, &[size(32), size(calls.len())]);
    let mut bodies = Vec::new();
    for (to, call, may_fail) in calls {
        data.extend(size(32 * calls.len() + bodies.len()));
        bodies.extend(encode([0; 4], &[word(*to), size((*may_fail).into()), size(96)]).split_off(4));
        append(&mut bodies, call);
    }
    data.extend(bodies);
    data
}

/// The word at an index of an answer.
pub(crate) fn word_at(data: &[u8], index: usize) -> Option<Hash> {
    data.get(32 * index..32 * index + 32)?.try_into().ok()
}

/// The address in a word, if the word is one.
pub(crate) fn address_at(data: &[u8], index: usize) -> Option<EvmAddress> {
    let word = word_at(data, index)?;
    let (zeros, address) = word.split_at(12);
    zeros.iter().all(|byte| *byte == 0).then(|| EvmAddress::new(address.try_into().expect("20 bytes")))
}

/// The bytes or text whose offset is in a word.
pub(crate) fn bytes_at(data: &[u8], index: usize) -> Option<&[u8]> {
    let offset = usize::try_from(U256::from_be_bytes(word_at(data, index)?)).ok()?;
    let tail = data.get(offset..)?;
    let length = usize::try_from(U256::from_be_bytes(word_at(tail, 0)?)).ok()?;
    tail.get(32..32_usize.checked_add(length)?)
}

/// The text of `Error(string)`.
pub(crate) fn revert_text(data: &[u8]) -> Option<String> {
    let text = bytes_at(data.strip_prefix(&ERROR_STRING)?, 0)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

pub(super) fn encode(selector: [u8; 4], words: &[Hash]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4 + 32 * words.len());
    data.extend(selector);
    words.iter().for_each(|word| data.extend(word));
    data
}

/// Length, bytes, and zeros up to a whole word.
pub(super) fn append(data: &mut Vec<u8>, bytes: &[u8]) {
    data.extend(size(bytes.len()));
    data.extend(bytes);
    data.resize(data.len() + bytes.len().next_multiple_of(32) - bytes.len(), 0);
}

pub(super) fn number(value: U256) -> Hash {
    value.to_be_bytes()
}

pub(super) fn size(value: usize) -> Hash {
    number(U256::from(value))
}

/// Where Multicall3 is, on the chains that have it.
pub(crate) const MULTICALL3: EvmAddress = EvmAddress::new([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17, 0x39,
    0x76, 0xca, 0x11,
]);
const TRANSFER_VRS: [u8; 4] = [0xe3, 0xee, 0x16, 0x0e];
const TRANSFER_BYTES: [u8; 4] = [0xcf, 0x09, 0x29, 0x95];
const AUTHORIZATION_STATE: [u8; 4] = [0xe9, 0x4a, 0x01, 0x02];
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
const AGGREGATE3: [u8; 4] = [0x82, 0xad, 0x56, 0xcb];
const ERROR_STRING: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `name()`.
pub(crate) const NAME: [u8; 4] = [0x06, 0xfd, 0xde, 0x03];
/// `version()`.
pub(crate) const VERSION: [u8; 4] = [0x54, 0xfd, 0x4d, 0x50];
/// `decimals()`.
pub(crate) const DECIMALS: [u8; 4] = [0x31, 0x3c, 0xe5, 0x67];
/// `DOMAIN_SEPARATOR()`.
pub(crate) const DOMAIN_SEPARATOR: [u8; 4] = [0x36, 0x44, 0xe5, 0x15];
/// What a contract account answers to a signature that is its own: a `bytes4`, so the rest of the word is zero.
pub(crate) const ERC1271_MAGIC: Hash = {
    let mut word = [0; 32];
    word[0] = 0x16;
    word[1] = 0x26;
    word[2] = 0xba;
    word[3] = 0x7e;
    word
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed_data::keccak;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        let fields = "address,address,uint256,uint256,uint256,bytes32";
        for (selector, signature) in [
            (TRANSFER_VRS, format!("transferWithAuthorization({fields},uint8,bytes32,bytes32)")),
            (TRANSFER_BYTES, format!("transferWithAuthorization({fields},bytes)")),
            (AUTHORIZATION_STATE, "authorizationState(address,bytes32)".to_owned()),
            (BALANCE_OF, "balanceOf(address)".to_owned()),
            (IS_VALID_SIGNATURE, "isValidSignature(bytes32,bytes)".to_owned()),
            (AGGREGATE3, "aggregate3((address,bool,bytes)[])".to_owned()),
            (ERROR_STRING, "Error(string)".to_owned()),
            (NAME, "name()".to_owned()),
            (VERSION, "version()".to_owned()),
            (DECIMALS, "decimals()".to_owned()),
            (DOMAIN_SEPARATOR, "DOMAIN_SEPARATOR()".to_owned()),
        ] {
            assert_eq!(selector, keccak(signature.as_bytes())[..4], "{signature}");
        }
    }

    #[test]
    fn calls_are_aggregated_with_their_offsets() {
        let (one, two) = (EvmAddress::new([1; 20]), EvmAddress::new([2; 20]));
        let data = aggregate(&[(one, &[9; 4], true), (two, &[8; 33], false)]);
        let calls = &data[4 + 64..];
        for (index, to, may_fail, content) in [(0, one, 1, vec![9; 4]), (1, two, 0, vec![8; 33])] {
            let offset = usize::try_from(U256::from_be_bytes(word_at(calls, index).unwrap())).unwrap();
            let call = &calls[offset..];
            assert_eq!(address_at(call, 0), Some(to));
            assert_eq!(word_at(call, 1), Some(size(may_fail)));
            assert_eq!(bytes_at(call, 2), Some(&content[..]));
        }
        assert_eq!((data.len() - 4) % 32, 0);
    }

    #[test]
    fn offsets_and_lengths_that_lie_are_refused() {
        let mut data = size(32).to_vec();
        append(&mut data, b"USDC");
        assert_eq!(bytes_at(&data, 0), Some(&b"USDC"[..]));
        for (at, value) in [(0, usize::MAX), (0, 33), (0, 1 << 40), (32, usize::MAX), (32, 33)] {
            let mut data = data.clone();
            data[at..at + 32].copy_from_slice(&size(value));
            assert_eq!(bytes_at(&data, 0), None, "{at} {value}");
        }
        assert_eq!(bytes_at(&[], 0), None);
    }

    #[test]
    fn revert_texts_are_read() {
        let mut data = encode(ERROR_STRING, &[size(32)]);
        append(&mut data, b"Pausable: paused");
        assert_eq!(revert_text(&data).as_deref(), Some("Pausable: paused"));
        assert_eq!(revert_text(&data[..40]), None);
    }
}
