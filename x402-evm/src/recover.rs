//! Recovering who signed, in the one form of signature that tokens take.

use std::fmt;

use x402_core::scheme::EvmAddress;

use crate::{curve, typed_data::keccak};

/// A 65-byte ECDSA signature `r ‖ s ‖ v` in the only form tokens take, so that a payment has one signature.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct EcdsaSignature {
    pub(crate) rs: [u8; 64],
    pub(crate) odd_y: bool,
}

impl EcdsaSignature {
    /// Reads a signature. Wallets write `v` as 0 and 1 or as 27 and 28; both mean the same here.
    ///
    /// # Errors
    /// [`MalformedSignature`]: not a form the token would take.
    pub fn read(bytes: &[u8]) -> Result<Self, MalformedSignature> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| MalformedSignature::Length(bytes.len()))?;
        let odd_y = match bytes[64] {
            0 | 27 => false,
            1 | 28 => true,
            other => return Err(MalformedSignature::RecoveryId(other)),
        };
        let rs: [u8; 64] = bytes[..64].try_into().expect("64 of 65 bytes");
        let (r, s) = rs.split_at(32);
        if is_zero(r) || r >= &ORDER[..] {
            return Err(MalformedSignature::R);
        }
        if is_zero(s) || s > &HALF_ORDER[..] {
            return Err(MalformedSignature::S);
        }
        Ok(Self { rs, odd_y })
    }

    /// The account whose key signed `digest`, if there is one.
    #[must_use]
    pub fn signer(&self, digest: &[u8; 32]) -> Option<EvmAddress> {
        curve::recover(self, digest)
            .map(|point| address_of(&point))
            .filter(|signer| *signer != EvmAddress::ZERO)
    }

    /// `r ‖ s ‖ v` with `v` as 27 or 28, which is how tokens want it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&self.rs);
        bytes[64] = 27 + u8::from(self.odd_y);
        bytes
    }
}

impl fmt::Debug for EcdsaSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaSignature(..)")
    }
}

/// Why bytes are not a signature the token would take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MalformedSignature {
    /// Not 65 bytes.
    Length(usize),
    /// `v` is none of 0, 1, 27 and 28.
    RecoveryId(u8),
    /// `r` is zero or not below the curve's order.
    R,
    /// `s` is zero or in the upper half, where every signature has a twin.
    S,
}

impl fmt::Display for MalformedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "signature has {length} bytes, wanted 65"),
            Self::RecoveryId(v) => write!(f, "signature has v = {v}, wanted 27 or 28"),
            Self::R => f.write_str("signature has an r outside the curve's order"),
            Self::S => f.write_str("signature has an s outside the lower half of the curve's order"),
        }
    }
}

impl std::error::Error for MalformedSignature {}

/// The address of a public key given as its two coordinates.
pub(crate) fn address_of(point: &[u8; 64]) -> EvmAddress {
    let hash = keccak(point);
    EvmAddress::new(hash[12..].try_into().expect("20 of 32 bytes"))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The order of secp256k1.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];
/// Half of it, rounded down: the largest `s` that is not somebody's upper twin.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "d06896709597edc6714fffa8ce9f18a7b1fe8466ad2998eb325b61b69a06546d";
    const SIGNATURE: &str = "b9c3441c74239d9e7d0f9e6e7199e90e5d626e6e681b8898e2e6cd6ae4bd8f15\
                             1b57fa945252eed7e0ecc516de7ac99a66b697f5f58821b703a1fb7c980cd3421c";

    fn signature() -> [u8; 65] {
        crate::hex::decode(SIGNATURE).unwrap()
    }

    fn with(range: std::ops::Range<usize>, bytes: &[u8]) -> [u8; 65] {
        let mut signature = signature();
        signature[range].copy_from_slice(bytes);
        signature
    }

    /// The order minus `s`.
    fn upper_twin() -> [u8; 65] {
        use ruint::aliases::U256;
        let s = U256::from_be_slice(&signature()[32..64]);
        let mut twin = with(32..64, &(U256::from_be_bytes(ORDER) - s).to_be_bytes::<32>());
        twin[64] = 27 + 28 - twin[64];
        twin
    }

    #[test]
    fn signer_is_recovered() {
        let digest = crate::hex::decode(DIGEST).unwrap();
        let signer = EcdsaSignature::read(&signature()).unwrap().signer(&digest).unwrap();
        assert_eq!(signer.to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    }

    #[test]
    fn old_and_new_recovery_ids_are_one_signature() {
        let plain = EcdsaSignature::read(&with(64..65, &[1])).unwrap();
        assert_eq!(plain, EcdsaSignature::read(&signature()).unwrap());
        assert_eq!(plain.to_bytes(), signature());
    }

    #[test]
    fn forms_that_tokens_refuse_are_refused() {
        let mut above_order = ORDER;
        above_order[31] += 1;
        let mut above_half = HALF_ORDER;
        above_half[31] += 1;
        for (name, bytes, expected) in [
            ("v 2", with(64..65, &[2]), Err(MalformedSignature::RecoveryId(2))),
            ("v 26", with(64..65, &[26]), Err(MalformedSignature::RecoveryId(26))),
            ("v 29", with(64..65, &[29]), Err(MalformedSignature::RecoveryId(29))),
            ("v 255", with(64..65, &[255]), Err(MalformedSignature::RecoveryId(255))),
            ("r zero", with(0..32, &[0; 32]), Err(MalformedSignature::R)),
            ("r the order", with(0..32, &ORDER), Err(MalformedSignature::R)),
            ("r above the order", with(0..32, &above_order), Err(MalformedSignature::R)),
            ("s zero", with(32..64, &[0; 32]), Err(MalformedSignature::S)),
            ("s half the order", with(32..64, &HALF_ORDER), Ok(())),
            ("s above half the order", with(32..64, &above_half), Err(MalformedSignature::S)),
            ("s the order", with(32..64, &ORDER), Err(MalformedSignature::S)),
            ("the upper twin", upper_twin(), Err(MalformedSignature::S)),
        ] {
            assert_eq!(EcdsaSignature::read(&bytes).map(|_| ()), expected, "{name}");
        }
        for length in [0, 1, 64, 66, 130] {
            assert_eq!(EcdsaSignature::read(&vec![1; length]), Err(MalformedSignature::Length(length)));
        }
    }

    #[test]
    fn an_r_off_the_curve_has_no_signer() {
        // 5 is no x coordinate of the curve.
        let mut r = [0; 32];
        r[31] = 5;
        assert_eq!(EcdsaSignature::read(&with(0..32, &r)).unwrap().signer(&[7; 32]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_back(bytes in proptest::collection::vec(any::<u8>(), 60..70)) {
            if let Ok(signature) = EcdsaSignature::read(&bytes) {
                prop_assert_eq!(EcdsaSignature::read(&signature.to_bytes()), Ok(signature));
                prop_assert_eq!(&signature.to_bytes()[..64], &bytes[..64]);
            }
        }

        #[test]
        fn a_changed_digest_has_another_signer(digest in any::<[u8; 32]>()) {
            let read = EcdsaSignature::read(&signature()).unwrap();
            prop_assert_ne!(read.signer(&digest), read.signer(&crate::hex::decode(DIGEST).unwrap()));
        }
    }
}
