//! The command, as operators run it.

use std::process::{Command, Output};

use super::{
    places::{Place, over_every_place},
    support::{QUERY_SECRET, RESPONSE_SECRET, Sale, Shop},
};
use serde_json::Value;
use x402_core::{order::proof::ProofRecord, quote::QuoteKey};

/// A shop whose orders are in some place.
struct World {
    place: Place,
    shop: Shop,
}

/// What the command printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    async fn at(place: Place) -> Self {
        Self { shop: Shop::over(place.store().await, QuoteKey::random()), place }
    }

    fn orders(&self, arguments: &[&str]) -> Ran {
        let ran = x402(&[&["orders"], arguments].concat(), &[("X402_STORE", &self.place.url)]);
        for secret in [QUERY_SECRET, RESPONSE_SECRET] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{arguments:?}");
        }
        ran
    }
}

impl Ran {
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    pub(crate) fn lines(self) -> Vec<Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ended with a text for a person, and nothing else.
    fn refused(self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(text), "{}", self.err);
        assert_eq!(self.out, "");
        assert!(!self.err.contains("hidden") && !self.err.contains("panicked"), "{}", self.err);
    }
}

pub(crate) fn x402(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_x402"));
    command.args(arguments).env_remove("X402_STORE").env_remove("X402_RPC");
    let Output { status, stdout, stderr } = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

fn id(sale: &Sale) -> String {
    sale.context.order_id.to_string()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["orderId"].as_str().unwrap()).collect()
}

over_every_place! {
    orders_are_listed_by_what_an_operator_looks_for
    an_order_is_shown_by_any_of_its_names
    a_proof_has_digests_that_recompute_and_nothing_secret
    all_records_are_exported_once
}

async fn orders_are_listed_by_what_an_operator_looks_for(world: World) {
    let (sold, dear) = (world.shop.sell("/weather/oslo").await, world.shop.sell("/dear").await);
    let (failed, unknown) = (world.shop.fail("/weather/rome").await, world.shop.lose_track("/dear").await);
    let list = |arguments: &[&str]| {
        let lines = world.orders(&[&["list", "--json"], arguments].concat()).lines();
        let mut found: Vec<_> = ids(&lines).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    let sorted = |sales: &[&Sale]| {
        let mut ids: Vec<_> = sales.iter().map(|sale| id(sale)).collect();
        ids.sort();
        ids
    };
    let payer = sold.context.payer.to_lowercase();
    let all = [&sold, &dear, &failed, &unknown];
    for (arguments, wanted) in [
        (&[][..], &all[..]),
        (&["--status", "completed"], &[&sold, &dear]),
        (&["--status", "pending"], &[&failed, &unknown]),
        (&["--attention", "settlement_unknown"], &[&unknown]),
        (&["--attention", "stuck"], &[]),
        (&["--route", "GET /dear"], &[&dear, &unknown]),
        (&["--payer", &payer], &all),
        (&["--payer", "0x0000000000000000000000000000000000000001"], &[]),
        (&["--from", "1h"], &all),
        (&["--until", "1h"], &[]),
        (&["--from", "2100-01-01"], &[]),
        (&["--status", "completed", "--route", "GET /dear", "--from", "2020-01-01T00:00:00Z"], &[&dear]),
    ] {
        assert_eq!(list(arguments), sorted(wanted), "{arguments:?}");
    }
    assert_eq!(list(&["--limit", "0"]).len(), 4);
    let cut = world.orders(&["list", "--limit", "3"]);
    assert!(cut.err.contains("there are more"));
    assert_eq!(cut.ok().lines().count(), 4);
    let table = world.orders(&["list"]).ok();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains("1 USDC") && table.contains("settlement_unknown"), "{table}");
}

async fn an_order_is_shown_by_any_of_its_names(world: World) {
    let sale = world.shop.sell("/weather/oslo").await;
    let transaction = world.shop.facilitator.settlement(&sale.context.payment_key).unwrap().transaction;
    for name in [id(&sale), sale.context.payment_key.to_string(), transaction.clone()] {
        let shown = world.orders(&["show", &name]).ok();
        for part in
            [&id(&sale), "completed", "GET /weather/oslo", "0.01 USDC", "handler_started", &transaction]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let json = world.orders(&["show", &name, "--json"]).json();
        let events =
            json["history"].as_array().unwrap().iter().map(|change| change["event"].as_str().unwrap());
        let wanted = ["opened", "verified", "handler_started", "settle_started", "settled", "delivered"];
        assert_eq!(events.collect::<Vec<_>>(), wanted);
    }
    let absent = "0".repeat(32);
    world.orders(&["show", &absent]).refused(1, "no order is known");
    world.orders(&["proof", &absent]).refused(1, "no order is known");
    world.orders(&["show", "breakfast"]).refused(1, "32 lower-case hexadecimal digits");
}

async fn a_proof_has_digests_that_recompute_and_nothing_secret(world: World) {
    use sha2::{Digest, Sha256};
    let sale = world.shop.sell("/weather/oslo").await;
    let failed = world.shop.fail("/weather/oslo").await;
    world.orders(&["proof", &id(&failed)]).refused(1, "not settled");
    let text = world.orders(&["proof", &id(&sale)]).ok();
    let record: ProofRecord = serde_json::from_str(&text).unwrap();
    let quote = record.quote.as_ref().expect("the payer echoed its quote");
    assert_eq!(record.quote_digest(), Some(quote.digest));
    assert_eq!(record.request.query_digest, Some(Sha256::digest(QUERY_SECRET).into()));
    assert_eq!(record.request.path.as_deref(), Some("/weather/oslo"));
    let response = &record.delivery;
    assert_eq!(response.response_digest, Some(Sha256::digest(RESPONSE_SECRET).into()));
    assert_eq!(
        (response.response_status, response.response_bytes),
        (Some(200), Some(RESPONSE_SECRET.len() as u64))
    );
    let presented = x402_core::wire::decode_payment(&sale.payment).unwrap();
    let option = x402_core::price::PriceOption::new(
        record.terms.network.clone(),
        std::sync::Arc::clone(&record.terms.asset),
        record.terms.amount_quoted,
        std::sync::Arc::clone(&record.terms.pay_to),
    );
    let payload = presented.payment.scheme_payload();
    let authorization = x402_core::scheme::ExactEvmStructure::authorization(payload, &option).unwrap();
    assert_eq!(record.authorization.hash, Some(authorization.digest));
    assert_eq!(record.authorization.nonce, authorization.nonce);
    let signature = payload["signature"].as_str().unwrap();
    assert!(!text.contains(&signature[2..]), "a signature is in the record");
    let times = [
        record.verification.as_ref().and_then(|verification| verification.verified_at),
        record.settlement.as_ref().and_then(|settlement| settlement.settled_at),
        record.delivery.delivered_at,
    ];
    assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{times:?}");
}

async fn all_records_are_exported_once(world: World) {
    let mut sold = Vec::new();
    for _ in 0..23 {
        sold.push(id(&world.shop.sell("/weather/oslo").await));
    }
    world.shop.fail("/dear").await;
    let exported = |arguments: &[&str]| {
        let lines = world.orders(&[&["export"], arguments].concat()).lines();
        let name = |line: &Value| line["identity"]["orderId"].as_str().unwrap().to_owned();
        let mut found: Vec<_> = lines.iter().map(name).collect();
        found.sort();
        found
    };
    sold.sort();
    assert_eq!(exported(&["--status", "completed"]), sold);
    assert_eq!(exported(&[]).len(), 24);
    assert!(exported(&["--until", "1h"]).is_empty());
}

#[tokio::test]
async fn bad_input_is_told_in_a_text_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("orders.db");
    let list = |store: &str| x402(&["orders", "list", "--store", store], &[]);
    x402(&["orders", "list"], &[]).refused(2, "--store or in X402_STORE");
    list("mysql://u:hidden@db/shop").refused(2, "`mysql`");
    list("u:hidden@db").refused(2, "no scheme");
    list("memory:").refused(2, "own process");
    list(&format!("sqlite:{}", absent.display())).refused(2, "none was made");
    assert!(!absent.exists());
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, whatever its name may say; it is a text of some length")
        .unwrap();
    list(&format!("sqlite:{}", text.display())).refused(2, "text.db");
    let world = World::at(Place::sqlite()).await;
    world.orders(&["list", "--status", "done"]).refused(2, "completed");
    world.orders(&["list", "--from", "yesterday"]).refused(2, "2026-11-21");
    world.orders(&["reconcile"]).refused(2, "--rpc");
    world.orders(&["reconcile", "--rpc", "http://u:hidden@chain.example.com/"]).refused(2, "https");
    world
        .orders(&["reconcile", "--rpc", "base=https://u:hidden@chain.example.com/"])
        .refused(2, "no network");
}

#[cfg(unix)]
#[tokio::test]
async fn whoever_stops_reading_has_seen_enough() {
    let world = World::at(Place::sqlite()).await;
    world.shop.sell("/weather/oslo").await;
    let script =
        format!("'{}' orders export --store '{}' | true", env!("CARGO_BIN_EXE_x402"), world.place.url);
    let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_told_in_a_text() {
    let list = |store: &str| x402(&["orders", "list", "--store", store], &[]);
    // Nobody listens there.
    list("redis://:hidden@127.0.0.1:1").refused(2, "127.0.0.1:1");
    list("postgres://ann:hidden@127.0.0.1:1/shop").refused(2, "127.0.0.1:1");
    let empty = Place::postgres();
    list(&empty.url).refused(2, "no order tables");
    drop(empty.store().await);
    assert_eq!(list(&empty.url).ok().lines().count(), 1, "the paywall made the tables");
    let (scheme, rest) = empty.url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    list(&format!("{scheme}://nobody:hidden@{place}")).refused(2, "");
}
