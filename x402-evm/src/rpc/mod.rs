//! What is read from a node, and the one thing that is written to it.

pub(crate) mod abi;
mod heads;
pub(crate) mod permit2;
mod token;
mod transport;

use std::{
    fmt,
    future::{Future, IntoFuture},
    sync::Arc,
};

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::{Filter, Log, TransactionRequest};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::instrument::WithSubscriber as _;
use x402_core::{error::ConfigError, scheme::EvmAddress};

pub(crate) use self::{heads::Heads, token::is_revert};
use crate::error::ChainError;

/// A node. Every request has a deadline.
#[derive(Clone)]
pub(crate) struct Rpc {
    node: RootProvider,
    chain_id: Arc<OnceCell<u64>>,
}

/// A call to a contract.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) from: EvmAddress,
    pub(crate) to: EvmAddress,
    pub(crate) data: Vec<u8>,
    /// What it may burn, on the node or on the chain.
    pub(crate) gas_limit: u64,
}

/// What is needed of a block.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Header {
    number: U64,
    timestamp: U64,
}

/// What is needed of a receipt; read leniently, since chains have transaction types of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: B256,
    /// The contract that was called.
    #[serde(default)]
    to: Option<Address>,
    status: U64,
    block_number: U64,
    pub(crate) logs: Vec<Log>,
}

/// What is needed of a transaction.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Transaction {
    to: Option<Address>,
    pub(crate) input: Bytes,
}

impl Rpc {
    pub(crate) fn new(url: &str) -> Result<Self, ConfigError> {
        let client = RpcClient::new(transport::HttpTransport::new(url)?, false);
        Ok(Self { node: RootProvider::new(client), chain_id: Arc::default() })
    }

    /// The node's chain, asked once.
    pub(crate) async fn chain_id(&self) -> Result<u64, ChainError> {
        let asked = self.chain_id.get_or_try_init(|| async { self.node.get_chain_id().await });
        Ok(*asked.await?)
    }

    /// Checks that the node is on the chain that a price is for.
    pub(crate) async fn is_on(&self, chain_id: u64) -> Result<(), ChainError> {
        let found = self.chain_id().await?;
        if found == chain_id {
            return Ok(());
        }
        tracing::error!(wanted = chain_id, found, "node is on another chain");
        let detail = format!("the price is for chain {chain_id}, the node is on chain {found}");
        Err(ChainError::misconfigured("invalid_exact_evm_network_mismatch", detail))
    }

    pub(crate) async fn has_code(&self, account: EvmAddress) -> Result<bool, ChainError> {
        Ok(!self.node.get_code_at(at(account)).await?.is_empty())
    }

    /// What the account holds of the chain's own coin, which pays gas.
    pub(crate) async fn coin_balance(&self, account: EvmAddress) -> Result<U256, ChainError> {
        Ok(self.node.get_balance(at(account)).await?)
    }

    /// Transactions of the account: those mined, or also those waiting.
    pub(crate) async fn account_nonce(&self, account: EvmAddress, waiting: bool) -> Result<u64, ChainError> {
        let count = self.node.get_transaction_count(at(account));
        Ok(if waiting { count.pending() } else { count.latest() }.await?)
    }

    /// Runs a call without sending it, in the given block or the latest.
    pub(crate) async fn call(&self, call: &Call, block: Option<u64>) -> Result<Bytes, ChainError> {
        let block = block.map_or(BlockNumberOrTag::Latest, BlockNumberOrTag::Number);
        let request = request(call).gas_limit(call.gas_limit);
        Ok(unseen(self.node.call(request).block(BlockId::Number(block))).await?)
    }

    pub(crate) async fn estimate_gas(&self, call: &Call) -> Result<u64, ChainError> {
        Ok(unseen(self.node.estimate_gas(request(call))).await?)
    }

    /// Present fees per gas: the most to pay, and the tip in it.
    pub(crate) async fn fees(&self) -> Result<(u128, u128), ChainError> {
        let fees = self.node.estimate_eip1559_fees().await?;
        Ok((fees.max_fee_per_gas, fees.max_priority_fee_per_gas))
    }

    pub(crate) async fn broadcast(&self, transaction: &[u8]) -> Result<(), ChainError> {
        unseen(self.node.send_raw_transaction(transaction)).await.map(drop)?;
        Ok(())
    }

    /// Whether the node has the transaction, mined or waiting.
    pub(crate) async fn knows(&self, transaction: B256) -> Result<bool, ChainError> {
        let found: Option<serde_json::Value> =
            self.node.raw_request("eth_getTransactionByHash".into(), (transaction,)).await?;
        Ok(found.is_some())
    }

    pub(crate) async fn transaction(&self, transaction: B256) -> Result<Transaction, ChainError> {
        let found: Option<Transaction> =
            self.node.raw_request("eth_getTransactionByHash".into(), (transaction,)).await?;
        found.ok_or(ChainError::Lost("transaction is not there yet"))
    }

    pub(crate) async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        Ok(self.node.raw_request("eth_getTransactionReceipt".into(), (transaction,)).await?)
    }

    pub(crate) async fn head(&self) -> Result<Header, ChainError> {
        self.block(BlockNumberOrTag::Latest).await
    }

    pub(crate) async fn header(&self, number: u64) -> Result<Header, ChainError> {
        self.block(BlockNumberOrTag::Number(number)).await
    }

    async fn block(&self, block: BlockNumberOrTag) -> Result<Header, ChainError> {
        let header: Option<Header> =
            self.node.raw_request("eth_getBlockByNumber".into(), (block, false)).await?;
        header.ok_or(ChainError::Lost("the node does not have the block yet"))
    }

    /// Logs of one contract whose first topics are these, in the blocks from `first` to `last`.
    pub(crate) async fn logs(
        &self,
        contract: EvmAddress,
        events: [B256; 2],
        [topic1, topic2]: [B256; 2],
        (first, last): (u64, u64),
    ) -> Result<Vec<Log>, ChainError> {
        let filter = Filter::new()
            .address(at(contract))
            .event_signature(events.to_vec())
            .topic1(topic1)
            .topic2(topic2)
            .from_block(first)
            .to_block(last);
        Ok(self.node.get_logs(&filter).await?)
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rpc(..)")
    }
}

impl Header {
    pub(crate) fn number(&self) -> u64 {
        self.number.to()
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.timestamp.to()
    }
}

impl Transaction {
    /// The account it calls; the zero address where it makes a contract.
    pub(crate) fn target(&self) -> EvmAddress {
        EvmAddress::new(self.to.unwrap_or_default().into_array())
    }
}

impl Receipt {
    pub(crate) fn succeeded(&self) -> bool {
        self.status == U64::ONE
    }

    pub(crate) fn block(&self) -> u64 {
        self.block_number.to()
    }

    /// Whether it called Multicall3, so that its calls may have failed one by one.
    pub(crate) fn is_aggregate(&self) -> bool {
        self.to == Some(at(abi::MULTICALL3))
    }
}

/// An address as alloy has it.
pub(crate) fn at(address: EvmAddress) -> Address {
    Address::from(*address.as_bytes())
}

/// Runs a request that nobody may write down: alloy logs whole requests at its most verbose level, and these hold
/// signatures that are still good for money.
fn unseen<T, R>(request: R) -> impl Future<Output = T> + Send
where
    R: IntoFuture<Output = T, IntoFuture: Send>,
{
    request.into_future().with_subscriber(tracing::Dispatch::none())
}

fn request(call: &Call) -> TransactionRequest {
    TransactionRequest::default()
        .from(at(call.from))
        .to(at(call.to))
        .input(Bytes::from(call.data.clone()).into())
}
