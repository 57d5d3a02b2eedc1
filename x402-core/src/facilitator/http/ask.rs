//! The three questions that a facilitator is asked.

use std::time::Duration;

use super::{
    HttpFacilitator,
    auth::FacilitatorEndpoint,
    fault::{Fault, FaultAt},
    reason::SETTLEMENT_PENDING,
    verdict::{self, NotVerified, Settled},
};
use crate::{
    error::{BoxError, ConfigError, RejectReason},
    facilitator::{
        BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, supported::covers_all,
    },
    price::PriceOption,
    wire::{
        PaymentRequirements,
        facilitator::{FacilitatorRequest, SupportedResponse},
    },
};

impl Facilitator for HttpFacilitator {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(self.ask_to_verify(payment))
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(self.ask_to_settle(payment))
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        Box::pin(self.what_it_supports())
    }

    /// Asks what it supports only where that is not known, or where the facilitator did not answer lately.
    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(async move {
            let supported = if self.guard.is_closed() {
                self.what_it_supports().await
            } else {
                self.ask_what_it_supports().await
            };
            covers_all(supported, options)
        })
    }
}

impl HttpFacilitator {
    async fn ask_to_verify(&self, payment: &Payment) -> Result<(), VerifyError> {
        let requirements = payment.requirements().ok_or_else(|| VerifyError::Rejected(unnamed_network()))?;
        let pass = self.guard.pass().map_err(|fault| VerifyError::Unavailable(self.report(fault)))?;
        let json = body(payment, &requirements);
        let answer = self.send_until_reached(FacilitatorEndpoint::Verify, json, self.verify_timeout).await;
        let verdict =
            answer.map_err(NotVerified::Fault).and_then(|answer| verdict::verified(&answer, payment));
        pass.ended(match &verdict {
            Err(NotVerified::Fault(fault)) => Some(fault),
            _ => None,
        });
        match verdict {
            Ok(()) => Ok(()),
            Err(NotVerified::Rejected(reason)) => Err(VerifyError::Rejected(reason)),
            Err(NotVerified::Fault(fault)) => Err(VerifyError::Unavailable(self.report(fault))),
        }
    }

    async fn ask_to_settle(&self, payment: &Payment) -> Result<Settlement, SettleError> {
        let Some(requirements) = payment.requirements() else {
            return Err(SettleError::Rejected { reason: unnamed_network(), transaction: None });
        };
        let body = body(payment, &requirements);
        match self.settle_once(body.clone(), payment, &requirements).await {
            Settled::Pending { transaction } => {
                tokio::time::sleep(REPEAT_AFTER).await;
                let again = self.settle_once(body, payment, &requirements).await;
                self.conclude(after_pending(again, transaction))
            }
            first => self.conclude(first),
        }
    }

    async fn settle_once(
        &self,
        body: Vec<u8>,
        payment: &Payment,
        requirements: &PaymentRequirements,
    ) -> Settled {
        let pass = match self.guard.pass() {
            Ok(pass) => pass,
            Err(fault) => return Settled::Unclear { transaction: None, fault },
        };
        let settled = match self.send(FacilitatorEndpoint::Settle, Some(body), self.settle_timeout).await {
            Ok(answer) => verdict::settled(&answer, payment, network_of(requirements)),
            Err(fault) => Settled::Unclear { transaction: None, fault },
        };
        pass.ended(match &settled {
            Settled::Unclear { fault, .. } => Some(fault),
            _ => None,
        });
        settled
    }

    fn conclude(&self, settled: Settled) -> Result<Settlement, SettleError> {
        match settled {
            Settled::Moved(settlement) => Ok(settlement),
            Settled::Rejected { reason, transaction, fault } => {
                if let Some(fault) = fault {
                    self.report(fault);
                }
                Err(SettleError::Rejected { reason, transaction })
            }
            Settled::Unclear { transaction: None, fault } if fault.nothing_was_sent() => {
                Err(SettleError::Unavailable(self.report(fault)))
            }
            Settled::Unclear { transaction, fault } => {
                Err(SettleError::Unresolved { transaction, source: self.report(fault) })
            }
            Settled::Pending { transaction } => {
                let fault = Fault::Trouble(SETTLEMENT_PENDING.to_owned());
                Err(SettleError::Unresolved { transaction: Some(transaction), source: self.report(fault) })
            }
        }
    }

    /// Makes an error of a fault, and tells the operator where only they can help.
    fn report(&self, fault: Fault) -> BoxError {
        if fault.needs_the_operator() {
            tracing::error!(facilitator = self.origin(), %fault, "facilitator's answer cannot be used");
        }
        Box::new(FaultAt { origin: self.origin().to_owned(), fault })
    }
}

/// What is known after a settlement told to be pending was asked for again.
///
/// Once a transaction is known to be out, only its own failure is one: anything else leaves the question open.
fn after_pending(again: Settled, first: String) -> Settled {
    match again {
        Settled::Rejected { reason: RejectReason::NonceAlreadyUsed, fault, .. } => {
            Settled::Rejected { reason: RejectReason::NonceAlreadyUsed, transaction: Some(first), fault }
        }
        Settled::Rejected { reason, transaction, fault } if transaction.as_ref() != Some(&first) => {
            let fault = fault.unwrap_or_else(|| Fault::Trouble(reason.code().to_owned()));
            Settled::Unclear { transaction: Some(first), fault }
        }
        Settled::Unclear { transaction, fault } => {
            Settled::Unclear { transaction: Some(transaction.unwrap_or(first)), fault }
        }
        clear => clear,
    }
}

fn body(payment: &Payment, requirements: &PaymentRequirements) -> Vec<u8> {
    let request = FacilitatorRequest::new(&payment.presented.json, requirements);
    serde_json::to_vec(&request).expect("requests are plain data")
}

/// The network in the dialect it was asked in.
fn network_of(requirements: &PaymentRequirements) -> &str {
    match requirements {
        PaymentRequirements::V1(terms) => &terms.network,
        PaymentRequirements::V2(terms) => &terms.network,
    }
}

/// A version 1 payment on a network that version 1 has no name for.
fn unnamed_network() -> RejectReason {
    RejectReason::Other("invalid_network".into())
}

const REPEAT_AFTER: Duration = Duration::from_secs(1);
