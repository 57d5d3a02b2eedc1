//! EIP-712 hashes of EIP-3009 transfers.

use sha3::{Digest, Keccak256};
use x402_core::scheme::{Eip3009, EvmAddress};

/// A keccak-256 hash.
pub(crate) type Hash = [u8; 32];

/// The separator of the domain `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
#[must_use]
pub fn domain_separator(name: &str, version: &str, chain_id: u64, token: EvmAddress) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(DOMAIN_TYPE);
    hash.update(keccak(name.as_bytes()));
    hash.update(keccak(version.as_bytes()));
    hash.update([0; 24]);
    hash.update(chain_id.to_be_bytes());
    hash.update(word(token));
    hash.finalize().into()
}

/// The struct hash of `TransferWithAuthorization`. The signature in `message` takes no part.
#[must_use]
pub fn transfer_hash(message: &Eip3009) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(TRANSFER_TYPE);
    hash.update(word(message.from));
    hash.update(word(message.to));
    for number in [message.value, message.valid_after, message.valid_before] {
        hash.update(number.to_be_bytes::<32>());
    }
    hash.update(message.nonce);
    hash.finalize().into()
}

/// What is signed: a struct hash in a domain.
#[must_use]
pub fn signing_digest(domain_separator: &[u8; 32], struct_hash: &[u8; 32]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update([0x19, 0x01]);
    hash.update(domain_separator);
    hash.update(struct_hash);
    hash.finalize().into()
}

pub(crate) fn keccak(bytes: &[u8]) -> Hash {
    Keccak256::digest(bytes).into()
}

/// An address as a 32-byte word of the ABI.
pub(crate) fn word(address: EvmAddress) -> Hash {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address.as_bytes());
    word
}

/// A hash that is known, from its digits.
pub(crate) const fn constant(digits: &[u8; 64]) -> Hash {
    const fn value(digit: u8) -> u8 {
        if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
    }
    let mut hash = [0; 32];
    let mut at = 0;
    while at < 32 {
        hash[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    hash
}

/// Hash of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
const DOMAIN_TYPE: Hash = [
    0x8b, 0x73, 0xc3, 0xc6, 0x9b, 0xb8, 0xfe, 0x3d, 0x51, 0x2e, 0xcc, 0x4c, 0xf7, 0x59, 0xcc, 0x79, 0x23,
    0x9f, 0x7b, 0x17, 0x9b, 0x0f, 0xfa, 0xca, 0xa9, 0xa7, 0x5d, 0x52, 0x2b, 0x39, 0x40, 0x0f,
];
/// Hash of `TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256
/// validBefore,bytes32 nonce)`.
const TRANSFER_TYPE: Hash = [
    0x7c, 0x7c, 0x6c, 0xdb, 0x67, 0xa1, 0x87, 0x43, 0xf4, 0x9e, 0xc6, 0xfa, 0x9b, 0x35, 0xf5, 0x0d, 0x52,
    0xed, 0x05, 0xcb, 0xed, 0x4c, 0xc5, 0x92, 0xe1, 0x3b, 0x44, 0x50, 0x1c, 0x1a, 0x22, 0x67,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_hashes_are_those_of_their_texts() {
        for (hash, text) in [
            (
                DOMAIN_TYPE,
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            (
                TRANSFER_TYPE,
                "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 \
                 validBefore,bytes32 nonce)",
            ),
        ] {
            assert_eq!(hash, keccak(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn separators_are_those_read_from_the_chains() {
        let base: EvmAddress = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".parse().unwrap();
        let sepolia: EvmAddress = "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap();
        for (separator, expected) in [
            (
                domain_separator("USD Coin", "2", 8453, base),
                "02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f",
            ),
            (
                domain_separator("USDC", "2", 84_532, sepolia),
                "71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818",
            ),
        ] {
            assert_eq!(crate::hex::encode(&separator), expected);
        }
    }
}
