//! Asking over HTTP: a status, the headers of the protocol, the body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::BoxError;

/// An answer, with its receipt or terms decoded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) terms: Value,
    pub(crate) receipt: Value,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

/// `GET`s a URL, with a payment if there is one.
pub(crate) fn get(url: &str, payment: Option<&[u8]>) -> Result<Answer, BoxError> {
    let agent =
        ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut request = agent.get(url);
    if let Some(payment) = payment {
        request = request.header("PAYMENT-SIGNATURE", payment);
    }
    let mut response = request.call()?;
    let decoded = |name| match response.headers().get(name) {
        None => Ok(Value::Null),
        Some(value) => Ok::<_, BoxError>(serde_json::from_slice(&STANDARD.decode(value)?)?),
    };
    Ok(Answer {
        status: response.status().as_u16(),
        terms: decoded("payment-required")?,
        receipt: decoded("payment-response")?,
        replayed: response.headers().contains_key("idempotent-replayed"),
        body: response.body_mut().read_to_string()?,
    })
}
