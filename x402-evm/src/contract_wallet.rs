//! Payers whose account is a contract: ERC-1271, EIP-7702 delegation, and ERC-6492 before deployment.
//!
//! A signature of theirs can only be checked by asking the account, with a limit on gas and time. An account that
//! has code is asked, and its answer is final: there is no falling back to ECDSA, as tokens do not either.

use std::time::Duration;

use tokio::time::timeout;
use x402_core::{
    error::RejectReason,
    scheme::{EvmAddress, Proof},
};

use crate::{
    error::{ChainError, Refusal},
    recover::EcdsaSignature,
    rpc::{Call, Rpc, abi, abi::MULTICALL3, is_revert},
    typed_data::Hash,
};

/// Which contract accounts may pay. None by default: their payments cost reads before anything is known to be
/// signed, and a contract may change its mind between verification and settlement.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContractAccounts {
    deployed: bool,
    factories: Vec<EvmAddress>,
}

impl ContractAccounts {
    /// None.
    #[must_use]
    pub fn refused() -> Self {
        Self::default()
    }

    /// Accounts that have code, EIP-7702 delegations among them.
    #[must_use]
    pub fn deployed() -> Self {
        Self { deployed: true, factories: Vec::new() }
    }

    /// Also accounts that one of these factories deploys (ERC-6492). The call to the factory is the payer's; it is
    /// made by Multicall3 within the settlement, never by the account that pays gas, and needs Multicall3 on the chain.
    #[must_use]
    pub fn factories(mut self, factories: impl IntoIterator<Item = EvmAddress>) -> Self {
        self.factories.extend(factories);
        self
    }

    pub(crate) const fn are_allowed(&self) -> bool {
        self.deployed
    }

    /// The call that settles what was signed, after asking whoever must be asked whether the signature is the payer's.
    ///
    /// `proof` is what the local check said, `sender` who would send, `ask` whether to ask the account itself: a
    /// simulation of the call asks it anyway.
    pub(crate) async fn settlement_call(
        &self,
        rpc: &Rpc,
        unsent: &Unsent<'_>,
        proof: Proof,
        sender: EvmAddress,
        ask: bool,
    ) -> Result<Call, Refusal> {
        let Unsent { payer, signature, target, encode, .. } = *unsent;
        let call = |to, data, gas_limit| Call { from: sender, to, data, gas_limit };
        if !self.deployed {
            let signature = EcdsaSignature::read(signature).map_err(|_| RejectReason::MalformedSignature)?;
            return Ok(call(target, encode(&signature.to_bytes()), PLAIN_GAS));
        }
        let wrapper = Wrapper::read(signature);
        let inner = wrapper.as_ref().map_or(signature, |wrapper| &wrapper.signature);
        match (rpc.has_code(payer).await?, wrapper.as_ref(), proof) {
            (true, ..) => {
                if ask && !says_yes(rpc, payer, unsent.digest, inner).await? {
                    return Err(RejectReason::WrongSignature.into());
                }
                Ok(call(target, encode(inner), CONTRACT_GAS))
            }
            (false, Some(wrapper), _) => {
                if !unsent.deployable || !self.factories.contains(&wrapper.factory) {
                    return Err(RejectReason::Other("eip6492_factory_not_allowed".into()).into());
                }
                if !rpc.has_code(MULTICALL3).await? {
                    let detail = "Multicall3 is not on this chain; allow no factories";
                    return Err(ChainError::misconfigured("smart_wallet_deployment_failed", detail).into());
                }
                let transfer = encode(inner);
                let deployment = (wrapper.factory, &wrapper.calldata[..], true);
                let data = abi::aggregate(&[deployment, (target, &transfer, false)]);
                Ok(call(MULTICALL3, data, DEPLOYMENT_GAS))
            }
            (false, None, Proof::Signed) => {
                let signature = EcdsaSignature::read(inner).map_err(|_| RejectReason::MalformedSignature)?;
                Ok(call(target, encode(&signature.to_bytes()), PLAIN_GAS))
            }
            (false, None, _) => Err(match EcdsaSignature::read(inner) {
                Ok(_) => RejectReason::WrongSignature,
                Err(_) => RejectReason::MalformedSignature,
            }
            .into()),
        }
    }
}

/// What would be sent if the signature is the payer's.
#[derive(Clone, Copy)]
pub(crate) struct Unsent<'a> {
    pub(crate) payer: EvmAddress,
    pub(crate) signature: &'a [u8],
    /// What was signed.
    pub(crate) digest: &'a Hash,
    /// The contract to call.
    pub(crate) target: EvmAddress,
    /// The call with the signature in the form that the contract takes.
    pub(crate) encode: &'a (dyn Fn(&[u8]) -> Vec<u8> + Sync),
    /// Whether the payer's account may be deployed on the way.
    pub(crate) deployable: bool,
}

/// Asks the account, and takes nothing but the exact magic value for a yes.
async fn says_yes(
    rpc: &Rpc,
    account: EvmAddress,
    digest: &Hash,
    signature: &[u8],
) -> Result<bool, ChainError> {
    let data = abi::is_valid_signature(digest, signature);
    let call = Call { from: EvmAddress::ZERO, to: account, data, gas_limit: CONTRACT_GAS };
    match timeout(ANSWER_WITHIN, rpc.call(&call, None)).await {
        Ok(Ok(answer)) => Ok(abi::word_at(&answer, 0) == Some(abi::ERC1271_MAGIC)),
        Ok(Err(error)) if is_revert(&error) => Ok(false),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ChainError::Lost("contract account did not answer in time")),
    }
}

/// The content of an ERC-6492 signature.
struct Wrapper {
    factory: EvmAddress,
    calldata: Vec<u8>,
    signature: Vec<u8>,
}

impl Wrapper {
    fn read(signature: &[u8]) -> Option<Self> {
        let content = signature.strip_suffix(&ERC6492_SUFFIX)?;
        Some(Self {
            factory: abi::address_at(content, 0)?,
            calldata: abi::bytes_at(content, 1)?.to_vec(),
            signature: abi::bytes_at(content, 2)?.to_vec(),
        })
    }
}

const ERC6492_SUFFIX: [u8; 32] = [
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
    0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
];
/// The most a transfer from a plain account may burn; well-known tokens need less than a third of it, through Permit2
/// with an approval before it less than two thirds.
const PLAIN_GAS: u64 = 300_000;
/// The same where a contract checks the signature, of a passkey at worst.
const CONTRACT_GAS: u64 = 1_000_000;
/// The same with a deployment before it.
const DEPLOYMENT_GAS: u64 = 3_000_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_wrappers_are_unwrapped() {
        let mut content = [[0; 32]; 3].concat();
        content[12..32].copy_from_slice(&[9; 20]);
        content[63] = 96;
        content[95] = 160;
        content.extend([[0; 32]; 4].concat());
        content[127] = 2;
        content[128..130].copy_from_slice(&[1, 2]);
        content[191] = 3;
        content[192..195].copy_from_slice(&[4, 5, 6]);
        let whole = [&content[..], &ERC6492_SUFFIX].concat();
        let wrapper = Wrapper::read(&whole).unwrap();
        assert_eq!(wrapper.factory, EvmAddress::new([9; 20]));
        assert_eq!((wrapper.calldata, wrapper.signature), (vec![1, 2], vec![4, 5, 6]));
        assert!(Wrapper::read(&content).is_none());
        assert!(Wrapper::read(&ERC6492_SUFFIX).is_none());
        for length in 0..192 {
            assert!(Wrapper::read(&[&content[..length], &ERC6492_SUFFIX].concat()).is_none(), "{length}");
        }
    }
}
