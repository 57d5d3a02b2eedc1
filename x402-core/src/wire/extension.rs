//! The extensions map, as far as the server itself reads it.

use serde_json::{Map, Value, json};

use crate::{error::Malformed, order::PaymentId};

/// The key of the extension that carries a [`PaymentId`].
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The key of the extension by which payers sign their approval of Permit2 (EIP-2612) instead of sending it: the
/// facilitator brings it to the chain.
pub const EIP2612_GAS_SPONSORING: &str = "eip2612GasSponsoring";

/// Reads the identifier that a payment brought along, if any. Payments of version 1 have no extensions.
///
/// # Errors
/// [`Malformed::InvalidPaymentIdentifier`] when there is one that breaks the rule, and
/// [`Malformed::PaymentIdentifierRequired`] when `required` and there is none.
pub fn read_payment_id(
    extensions: Option<&Map<String, Value>>,
    required: bool,
) -> Result<Option<PaymentId>, Malformed> {
    let id = match extensions.and_then(|extensions| extensions.get(PAYMENT_IDENTIFIER)) {
        None => None,
        Some(extension) => member(extension, "info")?.map(|info| member(info, "id")).transpose()?.flatten(),
    };
    match id {
        Some(Value::String(id)) => PaymentId::new(id).map(Some),
        Some(_) => Err(Malformed::InvalidPaymentIdentifier),
        None if required => Err(Malformed::PaymentIdentifierRequired),
        None => Ok(None),
    }
}

/// The entry under [`PAYMENT_IDENTIFIER`] in a 402's extensions.
#[must_use]
pub fn payment_id_declaration(required: bool) -> Value {
    json!({
        "info": { "required": required },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": 16,
                    "maxLength": 128,
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        },
    })
}

/// The entry under [`EIP2612_GAS_SPONSORING`] in a 402's extensions, for servers whose facilitator lists that key.
#[must_use]
pub fn eip2612_gas_sponsoring_declaration() -> Value {
    let text = |pattern: &str, description: &str| json!({ "type": "string", "pattern": pattern, "description": description });
    let (address, number) = ("^0x[a-fA-F0-9]{40}$", "^[0-9]+$");
    let members = [
        ("from", text(address, "The address of the sender.")),
        ("asset", text(address, "The address of the ERC-20 token contract.")),
        ("spender", text(address, "The address of the spender (Canonical Permit2).")),
        ("amount", text(number, "The amount to approve (uint256). Typically MaxUint.")),
        ("nonce", text(number, "The current nonce of the sender.")),
        ("deadline", text(number, "The timestamp at which the signature expires.")),
        (
            "signature",
            text("^0x[a-fA-F0-9]+$", "The 65-byte concatenated signature (r, s, v) as a hex string."),
        ),
        ("version", text("^[0-9]+(\\.[0-9]+)*$", "Schema version identifier.")),
    ];
    let required = members.each_ref().map(|(name, _)| *name);
    json!({
        "info": {
            "description": "The facilitator accepts EIP-2612 gasless Permit to `Permit2` canonical contract.",
            "version": "1",
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect::<Map<_, _>>(),
            "required": required,
        },
    })
}

/// Until when the approval is good that a payer signed, if one came along; as the extension has it, a number in a string.
pub(crate) fn approval_deadline(extensions: Option<&Map<String, Value>>) -> Option<&Value> {
    let extension = extensions?.get(EIP2612_GAS_SPONSORING)?;
    extension.get("info")?.get("deadline").filter(|deadline| !deadline.is_null() && **deadline != "")
}

/// A member of an object, where `null` means absent.
fn member<'a>(value: &'a Value, name: &str) -> Result<Option<&'a Value>, Malformed> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) => Ok(members.get(name).filter(|member| !member.is_null())),
        _ => Err(Malformed::InvalidPaymentIdentifier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "pay_0123456789abcdef";

    fn read(extensions: &Value, required: bool) -> Result<Option<String>, Malformed> {
        let read = read_payment_id(extensions.as_object(), required)?;
        Ok(read.map(|id| id.as_str().to_owned()))
    }

    #[test]
    fn length_and_alphabet_are_checked() {
        let of_length = |length| PaymentId::new(&"a".repeat(length));
        for (length, good) in [(0, false), (15, false), (16, true), (128, true), (129, false)] {
            assert_eq!(of_length(length).is_ok(), good, "{length}");
        }
        for stranger in [' ', '.', '/', '+', '\0', '\n', 'é'] {
            let id = format!("{GOOD}{stranger}");
            assert_eq!(PaymentId::new(&id), Err(Malformed::InvalidPaymentIdentifier));
        }
    }

    #[test]
    fn absent_identifiers_are_an_error_only_where_required() {
        for absent in [
            Value::Null,
            json!({}),
            json!({ "payment-identifier": null }),
            json!({ "payment-identifier": {} }),
            json!({ "payment-identifier": { "info": null } }),
            json!({ "payment-identifier": { "info": { "required": true } } }),
            json!({ "payment-identifier": { "info": { "id": null } } }),
            json!({ "another": { "info": { "id": GOOD } } }),
        ] {
            assert_eq!(read(&absent, false), Ok(None), "{absent}");
            assert_eq!(read(&absent, true), Err(Malformed::PaymentIdentifierRequired), "{absent}");
        }
    }

    #[test]
    fn present_identifiers_are_read_or_refused() {
        let with_id =
            |id: Value| json!({ "payment-identifier": { "info": { "required": false, "id": id } } });
        for required in [false, true] {
            assert_eq!(read(&with_id(json!(GOOD)), required), Ok(Some(GOOD.to_owned())));
            for bad in [
                with_id(json!("short")),
                with_id(json!(1_234_567_890_123_456_u64)),
                with_id(json!([GOOD])),
                json!({ "payment-identifier": GOOD }),
                json!({ "payment-identifier": { "info": [GOOD] } }),
            ] {
                assert_eq!(read(&bad, required), Err(Malformed::InvalidPaymentIdentifier), "{bad}");
            }
        }
    }
}
