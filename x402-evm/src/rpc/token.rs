//! What is read from a token.

use alloy_primitives::{Bytes, U256};
use x402_core::scheme::EvmAddress;

use super::{Call, Rpc, abi};
use crate::{error::ChainError, typed_data::Hash};

impl Rpc {
    /// Whether the authorization was used or cancelled, in the given block or the latest.
    pub(crate) async fn authorization_used(
        &self,
        token: EvmAddress,
        payer: EvmAddress,
        nonce: &Hash,
        block: Option<u64>,
    ) -> Result<bool, ChainError> {
        let data = abi::authorization_state(payer, nonce);
        let answer = self.view(token, data, block).await;
        let state = answer.map(|answer| abi::word_at(&answer, 0).map(U256::from_be_bytes::<32>));
        match state {
            Ok(Some(U256::ZERO)) => Ok(false),
            Ok(Some(U256::ONE)) => Ok(true),
            Ok(_) => Err(not_eip3009()),
            Err(error) if is_revert(&error) => Err(not_eip3009()),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn token_balance(
        &self,
        token: EvmAddress,
        holder: EvmAddress,
    ) -> Result<U256, ChainError> {
        let answer = self.view(token, abi::balance_of(holder), None).await?;
        let balance = abi::word_at(&answer, 0).map(U256::from_be_bytes);
        balance.ok_or_else(|| {
            ChainError::misconfigured("asset_not_deployed_contract", "balanceOf gives no number")
        })
    }

    /// The token's domain separator; `None` where it has no such function.
    pub(crate) async fn domain_separator(&self, token: EvmAddress) -> Result<Option<Hash>, ChainError> {
        let answer = self.optional(token, abi::DOMAIN_SEPARATOR).await?;
        Ok(answer.and_then(|answer| abi::word_at(&answer, 0)))
    }

    /// The token's name or version; `None` where it has no such function.
    pub(crate) async fn text(
        &self,
        token: EvmAddress,
        selector: [u8; 4],
    ) -> Result<Option<String>, ChainError> {
        let answer = self.optional(token, selector).await?;
        Ok(answer.and_then(|answer| {
            abi::bytes_at(&answer, 0).map(|text| String::from_utf8_lossy(text).into_owned())
        }))
    }

    /// The token's decimals; `None` where it has no such function.
    pub(crate) async fn decimals(&self, token: EvmAddress) -> Result<Option<u8>, ChainError> {
        let answer = self.optional(token, abi::DECIMALS).await?;
        let decimals = answer.and_then(|answer| abi::word_at(&answer, 0)).map(U256::from_be_bytes::<32>);
        Ok(decimals.and_then(|decimals| u8::try_from(decimals).ok()))
    }

    async fn optional(&self, token: EvmAddress, selector: [u8; 4]) -> Result<Option<Bytes>, ChainError> {
        match self.view(token, selector.to_vec(), None).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_revert(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn view(
        &self,
        to: EvmAddress,
        data: Vec<u8>,
        block: Option<u64>,
    ) -> Result<Bytes, ChainError> {
        self.call(&Call { from: EvmAddress::ZERO, to, data, gas_limit: VIEW_GAS }, block).await
    }
}

/// Whether the contract itself refused, so that asking again gives the same answer.
pub(crate) fn is_revert(error: &ChainError) -> bool {
    let ChainError::Refused { code, message, data } = error else { return false };
    let message = message.to_ascii_lowercase();
    *code == 3
        || data.is_some()
        || [
            "revert",
            "out of gas",
            "outofgas",
            "invalid opcode",
            "gas required exceeds",
            "invalid jump",
            "evm error",
        ]
        .iter()
        .any(|sign| message.contains(sign))
}

fn not_eip3009() -> ChainError {
    ChainError::misconfigured(
        "invalid_exact_evm_eip3009_not_supported",
        "the token has no authorizationState; offer a token with EIP-3009",
    )
}

const VIEW_GAS: u64 = 500_000;
