//! The curve, by libsecp256k1 or in pure Rust. Both give the same answers.

#[cfg(feature = "secp256k1")]
mod native {
    use secp256k1::{
        Message,
        ecdsa::{RecoverableSignature, RecoveryId},
    };

    use crate::recover::EcdsaSignature;

    /// The coordinates of the key that made `signature` over `digest`.
    pub(crate) fn recover(signature: &EcdsaSignature, digest: &[u8; 32]) -> Option<[u8; 64]> {
        let id = RecoveryId::from_u8_masked(u8::from(signature.odd_y));
        let signature = RecoverableSignature::from_compact(&signature.rs, id).ok()?;
        let key = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
        Some(key.serialize_uncompressed()[1..].try_into().expect("64 of 65 bytes"))
    }

    /// The coordinates of the key's point, if it is a key.
    #[cfg(feature = "signer")]
    pub(crate) fn point(key: &[u8; 32]) -> Option<[u8; 64]> {
        let mut key = secp256k1::SecretKey::from_secret_bytes(*key).ok()?;
        let point = key.public_key().serialize_uncompressed();
        key.non_secure_erase();
        Some(point[1..].try_into().expect("64 of 65 bytes"))
    }

    /// Signs deterministically (RFC 6979) in the lower half.
    #[cfg(feature = "signer")]
    pub(crate) fn sign(key: &[u8; 32], digest: &[u8; 32]) -> EcdsaSignature {
        let mut key = secp256k1::SecretKey::from_secret_bytes(*key).expect("checked when it was read");
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(*digest), &key);
        key.non_secure_erase();
        let (id, rs) = signature.serialize_compact();
        EcdsaSignature { rs, odd_y: id.to_u8() & 1 == 1 }
    }
}

#[cfg(feature = "k256")]
#[cfg_attr(feature = "secp256k1", allow(dead_code, reason = "libsecp256k1 goes first"))]
mod pure {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

    use crate::recover::EcdsaSignature;

    /// The coordinates of the key that made `signature` over `digest`.
    pub(crate) fn recover(signature: &EcdsaSignature, digest: &[u8; 32]) -> Option<[u8; 64]> {
        let id = RecoveryId::new(signature.odd_y, false);
        let signature = Signature::from_slice(&signature.rs).ok()?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?;
        coordinates(&key)
    }

    /// The coordinates of the key's point, if it is a key.
    #[cfg(feature = "signer")]
    pub(crate) fn point(key: &[u8; 32]) -> Option<[u8; 64]> {
        coordinates(k256::ecdsa::SigningKey::from_slice(key).ok()?.verifying_key())
    }

    /// Signs deterministically (RFC 6979) in the lower half.
    #[cfg(feature = "signer")]
    pub(crate) fn sign(key: &[u8; 32], digest: &[u8; 32]) -> EcdsaSignature {
        let key = k256::ecdsa::SigningKey::from_slice(key).expect("checked when it was read");
        let (signature, id) = key.sign_prehash_recoverable(digest);
        EcdsaSignature { rs: signature.to_bytes().into(), odd_y: id.is_y_odd() }
    }

    fn coordinates(key: &VerifyingKey) -> Option<[u8; 64]> {
        key.to_sec1_point(false).as_bytes()[1..].try_into().ok()
    }
}

#[cfg(feature = "secp256k1")]
pub(crate) use self::native::*;
#[cfg(all(feature = "k256", not(feature = "secp256k1")))]
pub(crate) use self::pure::*;

#[cfg(not(any(feature = "secp256k1", feature = "k256")))]
compile_error!("x402-evm needs a curve: enable the feature `secp256k1` or `k256`");

#[cfg(all(test, feature = "secp256k1", feature = "k256"))]
mod tests {
    use proptest::prelude::*;

    use super::{native, pure};
    use crate::recover::EcdsaSignature;

    proptest! {
        #[test]
        fn both_curves_give_the_same_answer(digest in any::<[u8; 32]>(), rs in any::<[[u8; 32]; 2]>(), v in 27_u8..29) {
            let mut bytes = [[0; 32]; 2].concat();
            bytes[..32].copy_from_slice(&rs[0]);
            bytes[32..].copy_from_slice(&rs[1]);
            bytes[32] &= 0x3f;
            bytes.push(v);
            let signature = EcdsaSignature::read(&bytes).unwrap();
            prop_assert_eq!(native::recover(&signature, &digest), pure::recover(&signature, &digest));
        }

        #[cfg(feature = "signer")]
        #[test]
        fn both_curves_sign_alike(key in any::<[u8; 32]>(), digest in any::<[u8; 32]>()) {
            prop_assert_eq!(native::sign(&key, &digest), pure::sign(&key, &digest));
            prop_assert_eq!(native::point(&key), pure::point(&key));
        }
    }
}
