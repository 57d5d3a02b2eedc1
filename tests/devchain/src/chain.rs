use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    DevChainError, accounts, contracts, interop,
    process::Anvil,
    rpc::{Rpc, quantity},
};

/// A running development chain. Dropping it ends it; see the [crate docs](crate) for an example.
#[derive(Debug)]
#[must_use = "the chain ends when this is dropped"]
pub struct DevChain {
    rpc: Rpc,
    anvil: Anvil,
}

impl DevChain {
    /// Starts a chain with [`CHAIN_ID`] on a free port, with the test token at [`TOKEN`], a multicall at [`MULTICALL`], and
    /// Permit2 and the x402 proxies where they are on every chain.
    ///
    /// # Errors
    ///
    /// When node, npm or an anvil for this platform is missing, or the node does not answer.
    pub fn start() -> Result<Self, DevChainError> {
        let anvil = Anvil::start(&interop::anvil()?)?;
        let chain = Self { rpc: Rpc::new(anvil.port()), anvil };
        chain.answering()?;
        chain.place("X402TestToken", TOKEN)?;
        chain.place("X402TestMulticall", MULTICALL)?;
        chain.place("X402TestPermit2", PERMIT2)?;
        chain.place("X402TestExactPermit2Proxy", EXACT_PERMIT2_PROXY)?;
        chain.place("X402TestUptoPermit2Proxy", UPTO_PERMIT2_PROXY)?;
        Ok(chain)
    }

    /// Where the node listens, as `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.rpc.url()
    }

    /// The process id of the node, for tests that stop or kill it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.anvil.id()
    }

    /// Calls a JSON-RPC method and gives its `result`.
    ///
    /// # Errors
    ///
    /// When the node refuses the call or cannot be reached.
    pub fn rpc(&self, method: &str, params: Value) -> Result<Value, DevChainError> {
        self.rpc.call(method, params)
    }

    /// Puts the runtime code of a contract of `contracts.json` at an address. Its storage stays as it is.
    ///
    /// # Errors
    ///
    /// When there is no such contract, or the node refuses.
    pub fn place(&self, contract: &str, address: &str) -> Result<(), DevChainError> {
        self.rpc("anvil_setCode", json!([address, contracts::runtime(contract)?])).map(drop)
    }

    /// Deploys a contract of `contracts.json` whose constructor takes nothing and gives its address.
    ///
    /// # Errors
    ///
    /// When there is no such contract, or its transaction fails.
    pub fn deploy(&self, contract: &str) -> Result<String, DevChainError> {
        let receipt = self.transact(json!({ "data": contracts::bytecode(contract)? }))?;
        match receipt["contractAddress"].as_str() {
            Some(address) => Ok(address.to_owned()),
            None => Err(DevChainError::Answer { wanted: "a contract address", got: receipt.to_string() }),
        }
    }

    /// Sends a transaction, from the chain's own account unless it names one, and waits for its receipt.
    pub(crate) fn transact(&self, mut transaction: Value) -> Result<Value, DevChainError> {
        if transaction.get("from").is_none() {
            transaction["from"] = accounts()[9].address.into();
        }
        let hash = self.rpc("eth_sendTransaction", json!([transaction]))?;
        let receipt = self.receipt(&hash)?;
        match quantity(&receipt["status"])? {
            0 => Err(DevChainError::Reverted(hash.to_string())),
            _ => Ok(receipt),
        }
    }

    fn receipt(&self, hash: &Value) -> Result<Value, DevChainError> {
        let until = Instant::now() + RECEIPT_LIMIT;
        while Instant::now() < until {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([hash]))?;
            if !receipt.is_null() {
                return Ok(receipt);
            }
            thread::sleep(POLL);
        }
        Err(DevChainError::NotMined(hash.to_string()))
    }

    fn answering(&self) -> Result<(), DevChainError> {
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            match self.rpc("eth_chainId", json!([])) {
                Ok(id) if quantity(&id)? == u128::from(CHAIN_ID) => return Ok(()),
                Ok(id) => return Err(DevChainError::Answer { wanted: "our chain id", got: id.to_string() }),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => thread::sleep(POLL),
            }
        }
    }
}

/// The chain id of Base Sepolia: stock clients know it.
pub const CHAIN_ID: u64 = 84_532;
/// Base Sepolia's USDC, where the test token stands.
pub const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
/// Where the multicall contract stands on every chain.
pub const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";
/// Where Permit2 stands on every chain.
pub const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
/// Where the proxy for `exact` through Permit2 stands.
pub const EXACT_PERMIT2_PROXY: &str = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001";
/// Where the proxy for `upto` stands.
pub const UPTO_PERMIT2_PROXY: &str = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const RECEIPT_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
