use serde_json::{Value, json};

use crate::{
    DevChain, DevChainError,
    chain::{PERMIT2, TOKEN},
    rpc::quantity,
};

/// The test token.
impl DevChain {
    /// Gives an address new tokens, in atomic units.
    ///
    /// # Errors
    ///
    /// When the transaction fails or is not mined in time.
    pub fn mint(&self, to: &str, amount: u128) -> Result<(), DevChainError> {
        self.send_token(&format!("{MINT}{}{amount:064x}", word(to)))
    }

    /// How many tokens an address holds, in atomic units.
    ///
    /// # Errors
    ///
    /// When the node refuses, or the balance needs more than 128 bits.
    pub fn balance(&self, of: &str) -> Result<u128, DevChainError> {
        let call = json!({ "to": TOKEN, "data": format!("{BALANCE_OF}{}", word(of)) });
        quantity(&self.rpc("eth_call", json!([call, "latest"]))?)
    }

    /// Sets the token's quirks; the bits are listed in the README of `tests/data/contracts`, `0` is a good token.
    ///
    /// # Errors
    ///
    /// When the transaction fails or is not mined in time.
    pub fn set_quirks(&self, bits: u64) -> Result<(), DevChainError> {
        self.send_token(&format!("{SET_QUIRKS}{bits:064x}"))
    }

    /// Gives the token another name, version (of its signing domain, at most 31 bytes each) and number of decimals.
    ///
    /// # Errors
    ///
    /// When the transaction fails or is not mined in time.
    pub fn configure(&self, name: &str, version: &str, decimals: u8) -> Result<(), DevChainError> {
        let text = |text: &str| {
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("{:064x}{hex:0<64}", text.len())
        };
        let places = format!("{:064x}{:064x}{decimals:064x}", 0x60, 0xa0);
        self.send_token(&format!("{CONFIGURE}{places}{}{}", text(name), text(version)))
    }

    /// Puts an account on the token's blacklist, or takes it off.
    ///
    /// # Errors
    ///
    /// When the transaction fails or is not mined in time.
    pub fn set_blacklisted(&self, account: &str, listed: bool) -> Result<(), DevChainError> {
        self.send_token(&format!("{SET_BLACKLISTED}{}{:064x}", word(account), u8::from(listed)))
    }

    /// Lets Permit2 move this many of an account's tokens, in atomic units. The account is one of the chain's own.
    ///
    /// # Errors
    ///
    /// When the transaction fails or is not mined in time.
    pub fn approve_permit2(&self, owner: &str, amount: u128) -> Result<(), DevChainError> {
        let data = format!("{APPROVE}{}{amount:064x}", word(PERMIT2));
        self.transact(json!({ "from": owner, "to": TOKEN, "data": data })).map(drop)
    }

    /// How many transfers an address received since the first block. Mints do not count.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn transfers_to(&self, to: &str) -> Result<usize, DevChainError> {
        let mint = topic(ZERO);
        let logs = self.token_logs(json!([TRANSFER, null, topic(to)]))?;
        Ok(logs.iter().filter(|log| log["topics"][1] != mint.as_str()).count())
    }

    /// The transfers an address received since the first block, in their order. Mints do not count.
    ///
    /// # Errors
    ///
    /// When the node refuses, or an amount needs more than 128 bits.
    pub fn income(&self, to: &str) -> Result<Vec<Income>, DevChainError> {
        let mint = topic(ZERO);
        let logs = self.token_logs(json!([TRANSFER, null, topic(to)]))?;
        let logs = logs.iter().filter(|log| log["topics"][1] != mint.as_str());
        logs.map(|log| {
            Ok(Income {
                transaction: log["transactionHash"].as_str().unwrap_or_default().to_owned(),
                amount: quantity(&log["data"])?,
            })
        })
        .collect()
    }

    /// How many transfers went from one address to another since the first block.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn transfer_count(&self, from: &str, to: &str) -> Result<usize, DevChainError> {
        Ok(self.token_logs(json!([TRANSFER, topic(from), topic(to)]))?.len())
    }

    /// The nonces of all authorizations of an address that were used since the first block, each as `0x` and 64 hex
    /// digits, in the order of their use.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn used_nonces(&self, of: &str) -> Result<Vec<String>, DevChainError> {
        let logs = self.token_logs(json!([AUTHORIZATION_USED, topic(of)]))?;
        Ok(logs.iter().filter_map(|log| log["topics"][2].as_str().map(str::to_owned)).collect())
    }

    fn token_logs(&self, topics: Value) -> Result<Vec<Value>, DevChainError> {
        let mut filter = json!({ "fromBlock": "0x0", "toBlock": "latest", "address": TOKEN });
        filter["topics"] = topics;
        match self.rpc("eth_getLogs", json!([filter]))? {
            Value::Array(logs) => Ok(logs),
            other => Err(DevChainError::Answer { wanted: "a list of logs", got: other.to_string() }),
        }
    }

    fn send_token(&self, data: &str) -> Result<(), DevChainError> {
        self.transact(json!({ "to": TOKEN, "data": data })).map(drop)
    }
}

/// A transfer, as its recipient sees it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Income {
    /// The transaction, as `0x` and 64 hex digits.
    pub transaction: String,
    /// What came, in atomic units.
    pub amount: u128,
}

/// An address as a 32-byte ABI word, without `0x`.
fn word(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
}

fn topic(address: &str) -> String {
    format!("0x{}", word(address))
}

const APPROVE: &str = "0x095ea7b3";
const MINT: &str = "0x40c10f19";
const BALANCE_OF: &str = "0x70a08231";
const CONFIGURE: &str = "0xef171107";
const SET_QUIRKS: &str = "0x833bee7b";
const SET_BLACKLISTED: &str = "0xd01dd6d2";
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const AUTHORIZATION_USED: &str = "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5";
const ZERO: &str = "0x0000000000000000000000000000000000000000";
