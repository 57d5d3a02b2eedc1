use serde_json::json;

use crate::{DevChain, DevChainError, rpc::quantity};

/// Blocks and time. A new chain mines each transaction at once, at the machine's time.
impl DevChain {
    /// Mines `blocks` blocks.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn mine(&self, blocks: u64) -> Result<(), DevChainError> {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).map(drop)
    }

    /// Whether each transaction is mined at once. While it is off, nothing is mined but by [`mine`](Self::mine)
    /// or at an interval, and [`mint`](Self::mint) and its like time out.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn set_automine(&self, on: bool) -> Result<(), DevChainError> {
        self.rpc("evm_setAutomine", json!([on])).map(drop)
    }

    /// Mines a block every so many seconds instead of with each transaction; `0` stops that, and then nothing is
    /// mined until [`set_automine`](Self::set_automine).
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn set_interval_mining(&self, seconds: u64) -> Result<(), DevChainError> {
        self.rpc("evm_setIntervalMining", json!([seconds])).map(drop)
    }

    /// Moves the chain's clock forward and mines a block at the new time.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn advance_time(&self, seconds: u64) -> Result<(), DevChainError> {
        self.rpc("evm_increaseTime", json!([seconds]))?;
        self.mine(1)
    }

    /// The time of the latest block, in Unix seconds. It stands still while nothing is mined.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn now(&self) -> Result<u64, DevChainError> {
        let block = self.rpc("eth_getBlockByNumber", json!(["latest", false]))?;
        let time = quantity(&block["timestamp"])?;
        u64::try_from(time).map_err(|_| DevChainError::Answer { wanted: "a time", got: time.to_string() })
    }

    /// Notes the chain's state; [`revert`](Self::revert) takes it back there, once.
    ///
    /// # Errors
    ///
    /// When the node refuses.
    pub fn snapshot(&self) -> Result<String, DevChainError> {
        let id = self.rpc("evm_snapshot", json!([]))?;
        match id.as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(DevChainError::Answer { wanted: "a snapshot id", got: id.to_string() }),
        }
    }

    /// Takes the chain back to a snapshot.
    ///
    /// # Errors
    ///
    /// When there is no such snapshot, or it was used already.
    pub fn revert(&self, snapshot: &str) -> Result<(), DevChainError> {
        match self.rpc("evm_revert", json!([snapshot]))? {
            done if done == true => Ok(()),
            other => Err(DevChainError::Answer { wanted: "a live snapshot", got: other.to_string() }),
        }
    }
}
