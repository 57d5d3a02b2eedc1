//! EIP-712 hashes of Permit2 transfers, and of the approvals that let Permit2 move a token.

use ruint::aliases::U256;
use sha3::{Digest, Keccak256};
use x402_core::scheme::{EvmAddress, PERMIT2, Permit2, Permit2Witness};

use crate::typed_data::{Hash, constant, word};

/// The separator of Permit2's domain, which has no version: `EIP712Domain(string name,uint256 chainId,address
/// verifyingContract)`.
#[must_use]
pub fn permit2_domain_separator(chain_id: u64) -> [u8; 32] {
    hash([DOMAIN_TYPE, DOMAIN_NAME, number(U256::from(chain_id)), word(PERMIT2)])
}

/// The struct hash of `PermitWitnessTransferFrom`, with the witness of `upto` if the message names a facilitator and else
/// that of `exact`. Owner and signature take no part.
#[must_use]
pub fn permit2_hash(message: &Permit2) -> [u8; 32] {
    let Permit2Witness { to, facilitator, valid_after } = message.witness;
    let permitted = hash([TOKEN_PERMISSIONS_TYPE, word(message.token), number(message.amount)]);
    let (kind, witness) = match facilitator {
        None => (EXACT_TYPE, hash([EXACT_WITNESS_TYPE, word(to), number(valid_after)])),
        Some(facilitator) => {
            (UPTO_TYPE, hash([UPTO_WITNESS_TYPE, word(to), word(facilitator), number(valid_after)]))
        }
    };
    hash([kind, permitted, word(message.spender), number(message.nonce), number(message.deadline), witness])
}

/// An approval of EIP-2612: `owner` lets `spender` move `value`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Eip2612 {
    /// Who holds the token.
    pub owner: EvmAddress,
    /// Who may move it.
    pub spender: EvmAddress,
    /// How much, in atomic units.
    pub value: U256,
    /// The owner's next nonce in the token.
    pub nonce: U256,
    /// The last second in which it is taken.
    pub deadline: U256,
}

/// The struct hash of an EIP-2612 `Permit`, which is signed in the token's own domain.
#[must_use]
pub fn eip2612_hash(permit: &Eip2612) -> [u8; 32] {
    let numbers = [permit.value, permit.nonce, permit.deadline].map(number);
    hash([EIP2612_TYPE, word(permit.owner), word(permit.spender), numbers[0], numbers[1], numbers[2]])
}

fn hash<const N: usize>(words: [Hash; N]) -> Hash {
    words.iter().fold(Keccak256::new(), |hash, word| hash.chain_update(word)).finalize().into()
}

fn number(value: U256) -> Hash {
    value.to_be_bytes()
}

/// Hash of `EIP712Domain(string name,uint256 chainId,address verifyingContract)`.
const DOMAIN_TYPE: Hash = constant(b"8cad95687ba82c2ce50e74f7b754645e5117c3a5bec8151c0726d5857980a866");
/// Hash of `Permit2`.
const DOMAIN_NAME: Hash = constant(b"9ac997416e8ff9d2ff6bebeb7149f65cdae5e32e2b90440b566bb3044041d36a");
const TOKEN_PERMISSIONS_TYPE: Hash =
    constant(b"618358ac3db8dc274f0cd8829da7e234bd48cd73c4a740aede1adec9846d06a1");
const EXACT_TYPE: Hash = constant(b"ebc156cd23678a74c94df13d772ef5478420637f0c94bd10d509e1dc98f521c7");
const EXACT_WITNESS_TYPE: Hash =
    constant(b"d97b3239a7f32295517bd14cb074edfdd188dfe5eb42f802bb26d4fd1eb12c37");
const UPTO_TYPE: Hash = constant(b"51dff6974ad4388c499e7fcfe838d2bd767162553a144098ce20ea661d70c2ee");
const UPTO_WITNESS_TYPE: Hash = constant(b"d4171c445a74218b01d4fd8af34ff1106580ea1e36ff837e64484bfaa2253b75");
const EIP2612_TYPE: Hash = constant(b"6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed_data::keccak;

    #[test]
    fn type_hashes_are_those_of_their_texts() {
        let permissions = "TokenPermissions(address token,uint256 amount)";
        let exact = "Witness(address to,uint256 validAfter)";
        let upto = "Witness(address to,address facilitator,uint256 validAfter)";
        let primary = |witness: &str| {
            format!(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 \
                 deadline,Witness witness){permissions}{witness}"
            )
        };
        for (hash, text) in [
            (DOMAIN_TYPE, "EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
            (DOMAIN_NAME, "Permit2"),
            (TOKEN_PERMISSIONS_TYPE, permissions),
            (EXACT_TYPE, &primary(exact)),
            (EXACT_WITNESS_TYPE, exact),
            (UPTO_TYPE, &primary(upto)),
            (UPTO_WITNESS_TYPE, upto),
            (
                EIP2612_TYPE,
                "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
            ),
        ] {
            assert_eq!(hash, keccak(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn separators_are_those_of_the_chains() {
        for (chain_id, separator) in [
            (84_532, "010f27a92fb9a32622f44f001dc4d15706a85b33499cfc2ce9033113ab26592c"),
            (8453, "3b6f35e4fce979ef8eac3bcdc8c3fc38fe7911bb0c69c8fe72bf1fd1a17e6f07"),
            (1, "866a5aba21966af95d6c7ab78eb2b2fc913915c28be3b9aa07cc04ff903e3f28"),
        ] {
            assert_eq!(crate::hex::encode(&permit2_domain_separator(chain_id)), separator);
        }
    }
}
