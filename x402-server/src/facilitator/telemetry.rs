//! Names of the service's metrics. Labels are bounded: networks that are served, and words of this list.

use std::time::Duration;

use x402_core::price::NetworkId;
use x402_evm::GasLevel;

/// Counter `{endpoint, network, outcome}`: what was asked, by how it ended.
pub const REQUESTS: &str = "x402_facilitator_requests_total";
/// Histogram `{endpoint, network}`: seconds until the facilitator knew.
pub const SECONDS: &str = "x402_facilitator_seconds";
/// Gauge `{network}`: what the gas account holds, in the chain's coin.
pub const GAS_BALANCE: &str = "x402_facilitator_gas_balance_coins";
/// Gauge `{network}`: how many settlements the gas account can still pay for, at the least.
pub const GAS_SETTLEMENTS: &str = "x402_facilitator_gas_settlements";

/// Counts what was asked. `network` is one that is served, or `none`.
pub(super) fn asked(endpoint: &'static str, network: &str, outcome: &'static str) {
    metrics::counter!(REQUESTS, "endpoint" => endpoint, "network" => network.to_owned(), "outcome" => outcome)
        .increment(1);
}

pub(super) fn took(endpoint: &'static str, network: &str, time: Duration) {
    metrics::histogram!(SECONDS, "endpoint" => endpoint, "network" => network.to_owned())
        .record(time.as_secs_f64());
}

/// Gauges are floating point, and so for looking at only.
pub(super) fn gas(network: &NetworkId, level: &GasLevel) {
    let coins = level.balance.to_decimal(super::gauge::COIN_DECIMALS).parse().unwrap_or(0.0);
    let settlements = level.balance.get().checked_div(level.settlement.get()).unwrap_or_default();
    let settlements = u32::try_from(settlements).unwrap_or(u32::MAX);
    metrics::gauge!(GAS_BALANCE, "network" => network.to_string()).set(coins);
    metrics::gauge!(GAS_SETTLEMENTS, "network" => network.to_string()).set(f64::from(settlements));
}
