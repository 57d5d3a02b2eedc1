//! One `[[network]]` of the file.

use std::{env, fmt, fs, path::PathBuf, time::Duration};

use toml::Spanned;
use x402_core::{
    error::ConfigError,
    price::{AtomicAmount, NetworkId, known_network},
    scheme::EvmAddress,
};
use x402_evm::{Batching, ContractAccounts, GasKey};
use zeroize::Zeroizing;

use super::{file::NetworkTable, place::Text, seconds};
use crate::facilitator::gauge::COIN_DECIMALS;

/// A network, with everything of it that can be known without asking its node.
#[derive(Clone)]
pub(super) struct NetworkConfig {
    pub(super) id: NetworkId,
    pub(super) chain_id: u64,
    pub(super) rpc_url: Zeroizing<String>,
    pub(super) rpc_at: String,
    pub(super) gas_key: GasKey,
    pub(super) gas_at: String,
    pub(super) confirmations: u64,
    pub(super) max_fee: Option<u128>,
    pub(super) low_gas: AtomicAmount,
    pub(super) answer: Duration,
    pub(super) accounts: ContractAccounts,
    pub(super) journal: Option<(PathBuf, String)>,
    pub(super) batch: Option<(Batching, String)>,
}

impl NetworkConfig {
    pub(super) fn read(text: Text<'_>, table: &NetworkTable) -> Result<Self, ConfigError> {
        let (id, chain_id) = id(text, table)?;
        let (rpc_url, rpc_at) = rpc_url(text, table)?;
        let (gas_key, gas_at) = gas_key(text, table)?;
        let confirmations = match &table.confirmations {
            Some(value) if *value.get_ref() == 0 => {
                return Err(text.wrong(
                    "confirmations",
                    value,
                    "wanted at least 1: the transfer's own block",
                ));
            }
            value => value.as_ref().map_or(1, |value| *value.get_ref()),
        };
        Ok(Self {
            id,
            chain_id,
            rpc_url,
            rpc_at,
            gas_key,
            gas_at,
            confirmations,
            max_fee: max_fee(text, table)?,
            low_gas: low_gas(text, table)?,
            answer: seconds(text, "answer_seconds", table.answer_seconds.as_ref(), ANSWER)?,
            accounts: accounts(text, table)?,
            journal: table.journal.as_ref().map(|path| (path.get_ref().into(), text.at("journal", path))),
            batch: batch(text, table)?,
        })
    }
}

fn id(text: Text<'_>, table: &NetworkTable) -> Result<(NetworkId, u64), ConfigError> {
    let wrong = |problem: String| text.wrong("id", &table.id, problem);
    let id = NetworkId::new(table.id.get_ref()).map_err(|error| wrong(error.to_string()))?;
    let chain_id =
        id.chain_id().ok_or_else(|| wrong(format!("{id} is not an EVM network, as in \"eip155:8453\"")))?;
    if known_network(&id).is_none() && !table.unlisted {
        return Err(wrong(format!(
            "{id} is no network of the table; if that is what you mean, say unlisted = true"
        )));
    }
    Ok((id, chain_id))
}

/// The address of a node may have an access key in it.
fn rpc_url(text: Text<'_>, table: &NetworkTable) -> Result<(Zeroizing<String>, String), ConfigError> {
    match (&table.rpc_url, &table.rpc_url_env) {
        (Some(url), None) => Ok((url.get_ref().clone().into(), text.at("rpc_url", url))),
        (None, Some(variable)) => {
            let at = text.at("rpc_url_env", variable);
            let name = variable.get_ref();
            let url = env::var(name)
                .map_err(|_| ConfigError::new(&at, format!("{name} is not set, or not text")))?;
            Ok((url.into(), at))
        }
        (Some(url), Some(_)) => Err(text.wrong("rpc_url", url, "is there beside rpc_url_env; keep one")),
        (None, None) => {
            Err(text.wrong("id", &table.id, "has no rpc_url and no rpc_url_env; name the network's node"))
        }
    }
}

fn gas_key(text: Text<'_>, table: &NetworkTable) -> Result<(GasKey, String), ConfigError> {
    match (&table.gas_key_file, &table.gas_key_env) {
        (Some(path), None) => {
            let at = text.at("gas_key_file", path);
            let wrong = |problem: String| ConfigError::new(&at, problem);
            let key = fs::read_to_string(path.get_ref()).map(Zeroizing::new);
            let key = key.map_err(|error| wrong(format!("cannot be read: {error}")))?;
            warn_if_shown(path);
            let key = GasKey::from_hex(key.trim()).map_err(|error| wrong(error.to_string()))?;
            Ok((key, at))
        }
        (None, Some(variable)) => {
            let at = text.at("gas_key_env", variable);
            let key = GasKey::from_env(variable.get_ref())
                .map_err(|error| ConfigError::new(&at, error.to_string()))?;
            Ok((key, at))
        }
        (Some(path), Some(_)) => {
            Err(text.wrong("gas_key_file", path, "is there beside gas_key_env; keep one"))
        }
        (None, None) => {
            let problem = "has no gas_key_file and no gas_key_env; name what holds the key of the account that pays gas";
            Err(text.wrong("id", &table.id, problem))
        }
    }
}

/// A key that everybody on the machine can read is not one.
#[cfg(unix)]
fn warn_if_shown(path: &Spanned<String>) {
    use std::os::unix::fs::PermissionsExt as _;

    let path = path.get_ref();
    if fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0) {
        tracing::warn!(path, "gas key can be read by every user of this machine; chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_shown(_: &Spanned<String>) {}

fn max_fee(text: Text<'_>, table: &NetworkTable) -> Result<Option<u128>, ConfigError> {
    let Some(value) = &table.max_fee_gwei else { return Ok(None) };
    let wrong = |problem: String| text.wrong("max_fee_gwei", value, problem);
    let wei = AtomicAmount::from_decimal(value.get_ref(), GWEI_DECIMALS);
    let wei = wei.map_err(|error| wrong(format!("{error}; wanted gwei per gas, as in \"0.5\"")))?;
    match u128::try_from(wei.get()) {
        Ok(0) => Err(wrong("is 0; nothing could be sent".to_owned())),
        Ok(wei) => Ok(Some(wei)),
        Err(_) => Err(wrong("is more than there is".to_owned())),
    }
}

fn low_gas(text: Text<'_>, table: &NetworkTable) -> Result<AtomicAmount, ConfigError> {
    let Some(value) = &table.low_gas else { return Ok(AtomicAmount::ZERO) };
    AtomicAmount::from_decimal(value.get_ref(), COIN_DECIMALS).map_err(|error| {
        text.wrong("low_gas", value, format!("{error}; wanted coins of the network, as in \"0.01\""))
    })
}

fn accounts(text: Text<'_>, table: &NetworkTable) -> Result<ContractAccounts, ConfigError> {
    match (table.contract_accounts, table.factories.first()) {
        (false, None) => Ok(ContractAccounts::refused()),
        (false, Some(factory)) => {
            Err(text.wrong("factories", factory, "needs contract_accounts = true beside it"))
        }
        (true, _) => {
            let factories = table.factories.iter().map(|factory| {
                let address: Result<EvmAddress, _> = factory.get_ref().parse();
                address.map_err(|error| text.wrong("factories", factory, error.to_string()))
            });
            Ok(ContractAccounts::deployed().factories(factories.collect::<Result<Vec<_>, _>>()?))
        }
    }
}

fn batch(text: Text<'_>, table: &NetworkTable) -> Result<Option<(Batching, String)>, ConfigError> {
    let Some(value) = &table.batch else { return Ok(None) };
    let default = Batching::default();
    let (window, most) = (value.get_ref().window_ms, value.get_ref().most);
    let batching = Batching {
        window: window.map_or(default.window, Duration::from_millis),
        most: most.unwrap_or(default.most),
    };
    let at = text.at("batch", value);
    batching.check().map_err(|error| error.moved_to(&at))?;
    Ok(Some((batching, at)))
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("id", &self.id)
            .field("gas_key", &self.gas_key)
            .finish_non_exhaustive()
    }
}

const GWEI_DECIMALS: u8 = 9;
/// Less than our own client waits for an answer.
const ANSWER: u64 = 20;
