//! The two messages of a 402, cut where requests differ.

use serde::Serialize;
use serde_json::Map;

use super::{message::Piece, text};
use crate::{
    price::{PaymentIdentifier, PriceOption},
    quote::{self, BindingLevel},
    wire::{
        extension::{
            EIP2612_GAS_SPONSORING, PAYMENT_IDENTIFIER, eip2612_gas_sponsoring_declaration,
            payment_id_declaration,
        },
        v1, v2,
    },
};

/// The version 2 object.
pub(super) fn v2(
    resource: &v2::ResourceInfo,
    binding: BindingLevel,
    identifier: PaymentIdentifier,
    options: &[PriceOption],
    sponsored: bool,
) -> Vec<Piece> {
    let no_url = v2::ResourceInfo { url: String::new(), ..resource.clone() };
    let rest = text::json(&no_url);
    let rest = rest.strip_prefix(r#"{"url":"""#).expect("the URL comes first");
    let mut pieces = vec![
        Piece::text(r#"{"x402Version":2,"error":"#),
        Piece::Error,
        Piece::text(r#","resource":{"url":"#),
        Piece::Url,
        Piece::text(rest),
        Piece::text(r#","accepts":["#),
    ];
    for (index, option) in options.iter().enumerate() {
        let entry = v2::PaymentRequirements { extra: None, ..option.to_v2() };
        accept(&mut pieces, index == 0, &entry, option);
        pieces.extend([Piece::Quote(index), Piece::text("}}")]);
    }
    pieces.push(Piece::text("]"));
    let mut extensions = Map::new();
    if binding == BindingLevel::SignedQuote {
        extensions.append(&mut quote::declaration());
    }
    if identifier.is_offered() {
        let declaration = payment_id_declaration(identifier.is_required());
        extensions.insert(PAYMENT_IDENTIFIER.to_owned(), declaration);
    }
    if sponsored {
        extensions.insert(EIP2612_GAS_SPONSORING.to_owned(), eip2612_gas_sponsoring_declaration());
    }
    if !extensions.is_empty() {
        pieces.push(Piece::Text(format!(r#","extensions":{}"#, text::json(&extensions))));
    }
    pieces.push(Piece::text("}"));
    pieces
}

/// The version 1 object, if anything can be offered to strict version 1 clients: at most one way per network,
/// since a version 1 payment does not name its token.
pub(super) fn v1(
    resource: &v2::ResourceInfo,
    options: &[PriceOption],
    offers: &dyn Fn(&PriceOption) -> bool,
) -> Option<Vec<Piece>> {
    let mut pieces =
        vec![Piece::text(r#"{"x402Version":1,"error":"#), Piece::Error, Piece::text(r#","accepts":["#)];
    let mut offered = Vec::new();
    for (index, option) in options.iter().enumerate() {
        let is_offered = |option: &PriceOption| offers(option) && !offered.contains(&&option.network);
        let Some(entry) = option.to_v1(resource).filter(|_| is_offered(option)) else {
            continue;
        };
        // The URL stands in the middle of an entry: everything up to it, the hole, everything behind it.
        let before = v1::PaymentRequirements { resource: String::new(), extra: None, ..entry };
        accept(&mut pieces, offered.is_empty(), &before, option);
        pieces.extend([Piece::Quote(index), Piece::text("}}")]);
        offered.push(&option.network);
    }
    pieces.extend([Piece::text("]"), Piece::Payer, Piece::text("}")]);
    (!offered.is_empty()).then_some(pieces)
}

/// One entry of `accepts`, up to the value of its quote. `entry` has no `extra` and, in version 1, no URL.
fn accept(pieces: &mut Vec<Piece>, first: bool, entry: &impl Serialize, option: &PriceOption) {
    let json = text::json(entry);
    let open = json.strip_suffix('}').expect("an entry is an object");
    let (before, behind) = match open.split_once(NO_URL) {
        Some((before, behind)) => (before, Some(behind)),
        None => (open, None),
    };
    let comma = if first { "" } else { "," };
    let mut extra = String::from(r#","extra":{"#);
    for (name, value) in option.extra.iter().filter(|(name, _)| *name != quote::MEMBER) {
        extra += &format!("{}:{},", text::json(name), text::json(value));
    }
    extra += r#""quote":"#;
    match behind {
        None => pieces.push(Piece::Text(format!("{comma}{before}{extra}"))),
        Some(behind) => pieces.extend([
            Piece::Text(format!(r#"{comma}{before},"resource":"#)),
            Piece::Url,
            Piece::Text(format!("{behind}{extra}")),
        ]),
    }
}

/// How an entry without its URL shows; a version 2 entry has no such member, and no value can hold it unescaped.
const NO_URL: &str = r#","resource":"""#;
