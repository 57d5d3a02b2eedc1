use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::DevChainError;

/// JSON-RPC over HTTP to the local node.
#[derive(Debug)]
pub(crate) struct Rpc {
    agent: Agent,
    url: String,
}

impl Rpc {
    pub(crate) fn new(port: u16) -> Self {
        let config = Agent::config_builder()
            .proxy(None) // a proxy set for the machine does not know our loopback
            .timeout_global(Some(CALL_LIMIT))
            .build();
        Self { agent: config.into(), url: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Value, DevChainError> {
        let mut request = json!({ "jsonrpc": "2.0", "id": 1, "method": method });
        request["params"] = params;
        let mut answer: Value = self
            .agent
            .post(&self.url)
            .send_json(request)
            .and_then(|mut response| response.body_mut().read_json())
            .map_err(|error| DevChainError::Http(Box::new(error)))?;
        match answer.get("error") {
            Some(error) => Err(DevChainError::Rpc { method: method.to_owned(), error: error.to_string() }),
            None => Ok(answer["result"].take()),
        }
    }
}

/// A hex quantity such as `"0x1f"`, padded or not, as a number.
pub(crate) fn quantity(value: &Value) -> Result<u128, DevChainError> {
    value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .ok_or_else(|| DevChainError::Answer {
            wanted: "a hex number of at most 128 bits",
            got: value.to_string(),
        })
}

const CALL_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_hex_up_to_128_bits() {
        assert_eq!(quantity(&json!("0x0")).unwrap(), 0);
        assert_eq!(quantity(&json!(format!("0x{:064x}", 5_000_000))).unwrap(), 5_000_000);
        assert_eq!(quantity(&json!(format!("0x{:x}", u128::MAX))).unwrap(), u128::MAX);
        for bad in [json!(7), json!("7"), json!("0x"), json!("0xg"), json!(format!("0x1{}", "0".repeat(32)))]
        {
            assert!(quantity(&bad).is_err(), "{bad}");
        }
    }
}
