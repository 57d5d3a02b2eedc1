//! What a template renders is what serde would have written, for both versions.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    Reply,
    error::RejectReason,
    price::{PaymentIdentifier, PriceOption},
    quote::{BindingLevel, MEMBER, QuoteKey, QuoteScope, QuoteSealer},
    time::UnixSeconds,
    wire::{
        V1, V2,
        extension::{
            EIP2612_GAS_SPONSORING, PAYMENT_IDENTIFIER, eip2612_gas_sponsoring_declaration,
            payment_id_declaration,
        },
        v1, v2,
    },
};

const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

fn option(network: &str, asset: &str, name: &str) -> PriceOption {
    PriceOption::new(network.parse().unwrap(), asset, 10_000, PAYEE).signing_domain(name, "2")
}

fn options() -> Vec<PriceOption> {
    vec![
        option("eip155:14", "0xe7cd86e13AC4309349F30B3435a9d337750fC82D", "USD₮0"),
        option("eip155:84532", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC"),
        option("eip155:84532", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "Second"),
        option("eip155:8453", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD \"Coin\"\\"),
    ]
}

fn resource(description: Option<&str>) -> v2::ResourceInfo {
    v2::ResourceInfo {
        url: "https://api.example.com".to_owned(),
        description: description.map(str::to_owned),
        mime_type: description.map(|_| "text/plain".to_owned()),
        ..Default::default()
    }
}

struct Case<'a> {
    resource: v2::ResourceInfo,
    binding: BindingLevel,
    identifier: PaymentIdentifier,
    sponsored: bool,
    options: Vec<PriceOption>,
    path: &'a str,
    reason: Option<RejectReason>,
    payer: Option<&'a str>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            resource: resource(Some("Weather: Tromsø 😀")),
            binding: BindingLevel::Terms,
            identifier: PaymentIdentifier::Off,
            sponsored: false,
            options: options(),
            path: "/weather/oslo",
            reason: None,
            payer: None,
        }
    }
}

impl Case<'_> {
    fn render(&self) -> Reply {
        let sealer =
            QuoteSealer::new(&QuoteKey::try_from((0..32).collect::<Vec<u8>>().as_slice()).unwrap(), &[]);
        let (binding, identifier) = (self.binding, self.identifier);
        let template = ChallengeTemplate::offering(
            &self.resource,
            binding,
            identifier,
            &self.options,
            &|_| true,
            self.sponsored,
        );
        let reply = template.render(&ChallengeRequest {
            status: 402,
            error: self.reason.as_ref().map(|reason| ErrorCodes { v1: reason.code_v1(), v2: reason.code() }),
            payer: self.payer,
            scope: QuoteScope::new(
                "https://api.example.com",
                "GET /{*x}",
                "GET",
                self.path,
                Some("secret=1"),
            ),
            sealer: &sealer,
            lifetime: Duration::from_secs(120),
            now: UnixSeconds::new(1_700_000_000),
            entropy: [7; 32],
        });
        if self.reason.is_none() {
            let url = text::url_path(self.path).len();
            assert_eq!(template.header_len(url), reply.get("payment-required").unwrap().len());
        }
        reply
    }

    /// Renders, and checks both messages against those that serde writes.
    fn check(&self) -> (Reply, Value, Value) {
        let reply = self.render();
        let header = reply.get("payment-required").unwrap();
        let (header, body) = (STANDARD.decode(header).unwrap(), reply.body.clone());
        assert!(header.is_ascii() && body.is_ascii());
        let (header, body): (Value, Value) =
            (serde_json::from_slice(&header).unwrap(), serde_json::from_slice(&body).unwrap());
        let quotes: Vec<Value> = header["accepts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["extra"][MEMBER].clone())
            .collect();
        let resource = v2::ResourceInfo { url: url(&self.resource.url, self.path), ..self.resource.clone() };
        assert_eq!(header, self.v2(&resource, &quotes));
        assert_eq!(body, self.v1(&resource, &quotes).unwrap_or_else(|| header.clone()));
        (reply, header, body)
    }

    fn v2(&self, resource: &v2::ResourceInfo, quotes: &[Value]) -> Value {
        let accepts = self.options.iter().zip(quotes).map(|(option, quote)| {
            let mut entry = option.to_v2();
            entry.extra.as_mut().unwrap().insert(MEMBER.to_owned(), quote.clone());
            entry
        });
        let mut extensions = serde_json::Map::new();
        if self.binding == BindingLevel::SignedQuote {
            extensions = crate::quote::declaration();
        }
        if self.identifier != PaymentIdentifier::Off {
            let required = self.identifier == PaymentIdentifier::Required;
            extensions.insert(PAYMENT_IDENTIFIER.to_owned(), payment_id_declaration(required));
        }
        if self.sponsored {
            extensions.insert(EIP2612_GAS_SPONSORING.to_owned(), eip2612_gas_sponsoring_declaration());
        }
        let message = v2::PaymentRequired {
            x402_version: V2,
            error: Some(self.reason.as_ref().map_or("Payment required", RejectReason::code).to_owned()),
            resource: resource.clone(),
            accepts: accepts.collect(),
            extensions: (!extensions.is_empty()).then_some(extensions),
        };
        serde_json::to_value(message).unwrap()
    }

    fn v1(&self, resource: &v2::ResourceInfo, quotes: &[Value]) -> Option<Value> {
        if self.identifier == PaymentIdentifier::Required {
            return None;
        }
        let mut accepts: Vec<v1::PaymentRequirements> = Vec::new();
        for (option, quote) in self.options.iter().zip(quotes) {
            let Some(mut entry) = option.to_v1(resource) else { continue };
            if accepts.iter().all(|known| known.network != entry.network) {
                entry.extra.as_mut().unwrap().insert(MEMBER.to_owned(), quote.clone());
                accepts.push(entry);
            }
        }
        let error = self.reason.as_ref().map_or("X-PAYMENT header is required", RejectReason::code_v1);
        let message = v1::PaymentRequired {
            x402_version: V1,
            error: Some(error.to_owned()),
            payer: self.payer.map(str::to_owned),
            accepts,
        };
        (!message.accepts.is_empty()).then(|| serde_json::to_value(message).unwrap())
    }
}

#[test]
fn one_response_serves_both_versions() {
    let (reply, header, body) = Case::default().check();
    assert_eq!(reply.status, 402);
    assert_eq!(reply.get("content-type"), Some(&b"application/json"[..]));
    assert_eq!(reply.get("cache-control"), Some(&b"no-store"[..]));
    assert_eq!(reply.get("vary"), Some(&b"PAYMENT-SIGNATURE, X-PAYMENT"[..]));
    assert_eq!(header["resource"]["url"], "https://api.example.com/weather/oslo");
    assert_eq!(header["error"], "Payment required");
    assert_eq!(body["error"], "X-PAYMENT header is required");
    assert_eq!(body["x402Version"], 1);
    let quote = &header["accepts"][0]["extra"]["quote"];
    assert_eq!((&quote["issuedAt"], &quote["expiresAt"]), (&1_700_000_000.into(), &1_700_000_120.into()));
}

#[test]
fn old_clients_are_offered_only_what_they_can_read_and_name() {
    let (_, header, body) = Case::default().check();
    let assets = |message: &Value| -> Vec<String> {
        let entries = message["accepts"].as_array().unwrap().iter();
        entries.map(|entry| entry["asset"].as_str().unwrap()[..6].to_owned()).collect()
    };
    assert_eq!(assets(&header), ["0xe7cd", "0x036C", "0x5aAe", "0x8335"]);
    assert_eq!(assets(&body), ["0x036C", "0x8335"]);
    assert_eq!(body["accepts"][0]["network"], "base-sepolia");
    assert_eq!(body["accepts"][0].get("outputSchema"), None);
    let mut case = Case::default();
    case.options.truncate(1);
    assert_eq!(case.check().2["x402Version"], 2);
}

#[test]
fn a_refusal_says_why_in_both_dialects() {
    for reason in [
        RejectReason::InsufficientFunds,
        RejectReason::WrongSignature,
        RejectReason::Other(Cow::Borrowed("said \"no\"\n☹")),
    ] {
        let case = Case { reason: Some(reason), payer: Some(PAYEE), ..Case::default() };
        let (_, header, body) = case.check();
        assert_eq!(body["payer"], PAYEE);
        assert_eq!(header.get("payer"), None);
    }
}

#[test]
fn plain_resources_and_signed_quotes_are_declared_as_such() {
    let (_, header, body) = Case { resource: resource(None), ..Case::default() }.check();
    assert_eq!(header["resource"].get("description"), None);
    assert_eq!(
        (&body["accepts"][0]["description"], &body["accepts"][0]["mimeType"]),
        (&"".into(), &"".into())
    );
    assert_eq!(header.get("extensions"), None);
    let (_, header, _) = Case { binding: BindingLevel::SignedQuote, ..Case::default() }.check();
    assert_eq!(header["extensions"]["quote-binding"]["info"]["version"], "1");
}

#[test]
fn identifiers_are_declared_where_they_are_offered() {
    for (identifier, required) in [(PaymentIdentifier::Optional, false), (PaymentIdentifier::Required, true)]
    {
        for binding in [BindingLevel::Terms, BindingLevel::SignedQuote] {
            let (_, header, body) = Case { identifier, binding, ..Case::default() }.check();
            let declared = &header["extensions"]["payment-identifier"];
            assert_eq!(declared["info"]["required"], required);
            assert_eq!(declared["schema"]["properties"]["id"]["maxLength"], 128);
            let quote_is_declared = header["extensions"].get("quote-binding").is_some();
            assert_eq!(quote_is_declared, binding == BindingLevel::SignedQuote);
            assert_eq!(body["x402Version"], if required { 2 } else { 1 }, "version 1 cannot send one");
        }
    }
}

#[test]
fn approvals_are_asked_for_where_they_are_sponsored() {
    for identifier in [PaymentIdentifier::Off, PaymentIdentifier::Optional] {
        let (_, header, body) = Case { sponsored: true, identifier, ..Case::default() }.check();
        assert_eq!(header["extensions"]["eip2612GasSponsoring"]["info"]["version"], "1");
        assert_eq!(body.get("extensions"), None, "version 1 has none");
    }
}

#[test]
fn the_query_is_never_part_of_a_402() {
    let reply = Case::default().render();
    let header = STANDARD.decode(reply.get("payment-required").unwrap()).unwrap();
    for text in [&header[..], &reply.body] {
        assert!(!String::from_utf8_lossy(text).contains("secret"));
    }
}

#[test]
fn a_usual_402_is_small() {
    let mut case = Case::default();
    case.options.truncate(2);
    assert!(case.render().get("payment-required").unwrap().len() < 2048);
}

proptest! {
    #[test]
    fn any_path_and_any_text_keep_the_messages_whole(
        path in "/\\PC{0,300}", description in proptest::option::of("\\PC{0,40}"), wanted in 0..4_usize,
    ) {
        let mut case = Case { path: &path, resource: resource(description.as_deref()), ..Case::default() };
        case.options.truncate(wanted + 1);
        let (_, header, _) = case.check();
        let url = header["resource"]["url"].as_str().unwrap();
        let legal = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        prop_assert!(legal);
    }
}
