//! Payers whose account is a contract: it may say yes now and no later.

use x402_core::{
    error::RejectReason,
    price::PriceOption,
    scheme::{Authorization, ExactEvmStructure, Proof, Scheme},
    testing::SettleAnswer,
};

use crate::support::{Request, World};

/// Takes every signature for one that a contract account may answer for.
pub(crate) struct OfContracts;

impl Scheme for OfContracts {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn read(&self, payload: &serde_json::Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        ExactEvmStructure::authorization(payload, option)
    }

    fn prove(&self, _: &Authorization, _: &PriceOption) -> Result<Proof, RejectReason> {
        Ok(Proof::Contract)
    }
}

#[tokio::test]
async fn a_contract_account_pays_before_the_handler_runs() {
    for (settle, runs) in
        [(SettleAnswer::Honest, 1), (SettleAnswer::Reject(RejectReason::SimulationFailed), 0)]
    {
        let world = World::with(|builder| builder.scheme(OfContracts));
        let request = Request::get("/weather/oslo");
        let payment = world.pay(&request).await;
        world.facilitator.next_settle(settle);
        match world.enter(&request.paid(&payment)).await {
            Ok(ticket) => {
                assert_eq!(world.facilitator.transfers().len(), 1, "before the handler");
                assert_eq!(world.run(ticket, 200).await.status, 200);
            }
            Err(answer) => assert_eq!(answer.status, 402),
        }
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (runs, runs));
    }
}
