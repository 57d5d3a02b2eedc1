//! The file as it is written. Unknown keys are refused.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Spanned<String>,
    #[serde(default)]
    pub(super) open: bool,
    pub(super) metrics: Option<Spanned<String>>,
    pub(super) max_in_flight: Option<Spanned<u32>>,
    pub(super) gas_check_seconds: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) caller: Vec<CallerTable>,
    #[serde(default)]
    pub(super) network: Vec<Spanned<NetworkTable>>,
}

/// By what one caller is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerTable {
    pub(super) token_sha256: Option<Spanned<String>>,
    pub(super) token_env: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkTable {
    pub(super) id: Spanned<String>,
    #[serde(default)]
    pub(super) unlisted: bool,
    pub(super) rpc_url: Option<Spanned<String>>,
    pub(super) rpc_url_env: Option<Spanned<String>>,
    pub(super) gas_key_file: Option<Spanned<String>>,
    pub(super) gas_key_env: Option<Spanned<String>>,
    pub(super) confirmations: Option<Spanned<u64>>,
    pub(super) max_fee_gwei: Option<Spanned<String>>,
    pub(super) low_gas: Option<Spanned<String>>,
    pub(super) answer_seconds: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) contract_accounts: bool,
    #[serde(default)]
    pub(super) factories: Vec<Spanned<String>>,
    pub(super) journal: Option<Spanned<String>>,
    pub(super) batch: Option<Spanned<BatchTable>>,
}

/// Settlements of one transaction.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchTable {
    pub(super) window_ms: Option<u64>,
    pub(super) most: Option<usize>,
}
