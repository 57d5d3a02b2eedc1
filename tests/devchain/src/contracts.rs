use std::sync::LazyLock;

use serde_json::Value;

use crate::DevChainError;

/// What to place at an address with `anvil_setCode`.
pub(crate) fn runtime(name: &str) -> Result<&'static str, DevChainError> {
    field(name, "runtime")
}

/// What to send in a transaction that creates the contract.
pub(crate) fn bytecode(name: &str) -> Result<&'static str, DevChainError> {
    field(name, "bytecode")
}

fn field(name: &str, field: &str) -> Result<&'static str, DevChainError> {
    CONTRACTS["contracts"][name][field]
        .as_str()
        .ok_or_else(|| DevChainError::UnknownContract(name.to_owned()))
}

static CONTRACTS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/contracts/contracts.json")).expect("contracts.json is JSON")
});
