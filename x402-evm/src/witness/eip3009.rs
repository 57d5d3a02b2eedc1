//! Which transaction used an EIP-3009 authorization: the token says so in `AuthorizationUsed`, or `AuthorizationCanceled`.

use alloy_primitives::{B256, U256};
use x402_core::{
    facilitator::{Settlement, Transfer},
    price::PriceOption,
};

use super::{ChainError, Eip3009, EvmAddress, EvmWitness, Finding, Header, Receipt, Trace, Walk, settlement};
use crate::{
    logs::{self, CANCELED, USED},
    typed_data::word,
};

impl EvmWitness {
    pub(super) async fn use_of_eip3009(
        &self,
        transfer: &Transfer,
        trace: &Trace,
        safe: Header,
    ) -> Result<Finding, ChainError> {
        let topics = [B256::from(word(trace.payer)), B256::from(transfer.nonce)];
        let bounds = self.bounds(transfer, safe).await?;
        let mut walk = Walk::new(&self.rpc, trace.token, [USED, CANCELED], topics, bounds);
        let log = loop {
            match walk.next().await? {
                // Nodes behind one address do not always agree: what one has not indexed yet is no proof of anything.
                None => return Err(ChainError::Lost("the log of the authorization's use is not there")),
                Some(found) => match found.into_iter().next() {
                    Some(log) => break log,
                    None => walk.stop_if_early().await?,
                },
            }
        };
        let (USED, Some(transaction)) = (log.topics()[0], log.transaction_hash) else {
            return Ok(Finding::SpentElsewhere);
        };
        let receipt =
            self.rpc.receipt(transaction).await?.ok_or(ChainError::Lost("receipt is not there yet"))?;
        let message = trace.unsigned(transfer);
        Ok(match settled(&receipt, trace.token, &message, &transfer.option) {
            Some(settlement) => Finding::Paid(settlement),
            None => Finding::SpentElsewhere,
        })
    }
}

impl Trace {
    /// What was signed, without the signature: enough to look for its use.
    fn unsigned(&self, transfer: &Transfer) -> Eip3009 {
        Eip3009 {
            from: self.payer,
            to: self.to,
            value: transfer.option.amount.get(),
            valid_after: U256::ZERO,
            valid_before: U256::from(transfer.valid_before.get()),
            nonce: transfer.nonce,
            signature: Vec::new(),
        }
    }
}

/// The settlement that a receipt shows, if it shows that we were paid.
pub(crate) fn settled(
    receipt: &Receipt,
    token: EvmAddress,
    message: &Eip3009,
    option: &PriceOption,
) -> Option<Settlement> {
    let ours = option.pay_to.parse() == Ok(message.to) && message.value == option.amount.get();
    let transfer = logs::paid(&receipt.logs, token, message).filter(|_| ours && receipt.succeeded())?;
    Some(settlement(receipt, transfer, &option.network, message.from, option.amount))
}
