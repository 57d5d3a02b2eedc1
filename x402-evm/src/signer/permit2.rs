//! Signing for Permit2: payments, and the approvals that make them possible.

use ruint::aliases::U256;
use serde_json::{Value, json};
use x402_core::{
    price::{PriceOption, TransferMethod},
    scheme::{EXACT_PERMIT2_PROXY, PERMIT2, Permit2, Permit2Witness, UPTO_PERMIT2_PROXY},
    time::UnixSeconds,
};

use super::{AuthorizationWindow, EvmSigner, Unsignable};
use crate::{
    hex,
    network::Domain,
    permit2::{Eip2612, eip2612_hash, permit2_domain_separator, permit2_hash},
    typed_data::signing_digest,
};

impl EvmSigner {
    /// The payload of `exact` through Permit2 or of `upto`. The window's end is the deadline, itself still good.
    pub(super) fn authorize_permit2(
        &self,
        option: &PriceOption,
        window: AuthorizationWindow,
        nonce: [u8; 32],
    ) -> Result<Value, Unsignable> {
        let chain_id = option.network.chain_id().ok_or(Unsignable("network is not EVM"))?;
        let facilitator = match (option.is_upto(), option.facilitator_address()) {
            (false, _) => None,
            (true, Some(account)) => {
                Some(account.parse().map_err(|_| Unsignable("facilitatorAddress is not an EVM address"))?)
            }
            (true, None) => return Err(Unsignable("facilitatorAddress is missing")),
        };
        let message = Permit2 {
            owner: self.address(),
            token: option.asset.parse().map_err(|_| Unsignable("asset is not an EVM address"))?,
            amount: option.amount.get(),
            spender: if option.is_upto() { UPTO_PERMIT2_PROXY } else { EXACT_PERMIT2_PROXY },
            nonce: U256::from_be_bytes(nonce),
            deadline: U256::from(window.valid_before.get()),
            witness: Permit2Witness {
                to: option.pay_to.parse().map_err(|_| Unsignable("payTo is not an EVM address"))?,
                facilitator,
                valid_after: U256::from(window.valid_after.get()),
            },
            signature: Vec::new(),
        };
        let signature =
            self.0.sign(&signing_digest(&permit2_domain_separator(chain_id), &permit2_hash(&message)));
        let mut witness = json!({
            "to": message.witness.to.to_string(),
            "validAfter": message.witness.valid_after.to_string(),
        });
        if let Some(facilitator) = facilitator {
            witness["facilitator"] = facilitator.to_string().into();
        }
        Ok(json!({
            "signature": hex::prefixed(&signature.to_bytes()),
            "permit2Authorization": {
                "from": message.owner.to_string(),
                "permitted": { "token": message.token.to_string(), "amount": message.amount.to_string() },
                "spender": message.spender.to_string(),
                "nonce": message.nonce.to_string(),
                "deadline": message.deadline.to_string(),
                "witness": witness,
            },
        }))
    }

    /// Signs the approval (EIP-2612) that lets Permit2 move what `option` asks for, so that the facilitator can bring it
    /// to the chain: the `info` of the extension `eip2612GasSponsoring`. `token_nonce` is the payer's next nonce in the
    /// token, which the token's `nonces` tells.
    ///
    /// # Errors
    /// [`Unsignable`]: the option is not paid through Permit2, or names no signing domain of the token.
    pub fn approve_permit2(
        &self,
        option: &PriceOption,
        token_nonce: U256,
        deadline: UnixSeconds,
    ) -> Result<Value, Unsignable> {
        if option.transfer_method() != TransferMethod::Permit2 {
            return Err(Unsignable("option is not paid through Permit2"));
        }
        let domain = Domain::of(option).map_err(|_| Unsignable("token has no signing domain"))?;
        let permit = Eip2612 {
            owner: self.address(),
            spender: PERMIT2,
            value: option.amount.get(),
            nonce: token_nonce,
            deadline: U256::from(deadline.get()),
        };
        let signature = self.0.sign(&signing_digest(&domain.separator(), &eip2612_hash(&permit)));
        Ok(json!({
            "from": permit.owner.to_string(),
            "asset": domain.token.to_string(),
            "spender": permit.spender.to_string(),
            "amount": permit.value.to_string(),
            "nonce": permit.nonce.to_string(),
            "deadline": permit.deadline.to_string(),
            "signature": hex::prefixed(&signature.to_bytes()),
            "version": "1",
        }))
    }
}
