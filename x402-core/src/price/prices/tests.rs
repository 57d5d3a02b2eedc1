//! Every mistake is found when the table is built, and the message says where it is and what to do.

use std::time::Duration;

use super::*;
use crate::{head::RequestFacts, price::TransferMethod};

const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const OTHER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const EURO: &str = "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42";

fn table() -> PricesBuilder {
    Prices::new("https://api.example.com").pay_to("eip155:84532", PAYEE)
}

fn options(prices: &Prices) -> Vec<(String, String, String)> {
    let show = |option: &PriceOption| {
        (option.network.to_string(), option.asset.to_string(), option.amount.to_string())
    };
    prices.options().map(show).collect()
}

#[test]
fn dollars_are_asked_on_every_network_with_a_recipient_in_their_order() {
    let prices = table().pay_to("eip155:8453", OTHER).charge("GET /a", "$0.01").build().unwrap();
    let networks: Vec<_> = prices.options().map(|option| option.network.as_str()).collect();
    assert_eq!(networks, ["eip155:84532", "eip155:8453"]);
    let names: Vec<_> = prices.options().map(|option| option.extra["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["USDC", "USD Coin"]);
    assert!(prices.options().all(|option| option.amount == 10_000.into()));
    assert_eq!(*prices.options().last().unwrap().pay_to, *OTHER);
    let info = prices.rules().next().unwrap();
    assert_eq!(info.price, "0.01 USDC on eip155:84532 or 0.01 USDC on eip155:8453");
    assert_eq!((&*info.pattern, &*info.methods), ("GET /a", &["GET".into()][..]));
}

#[test]
fn prices_are_written_in_many_ways() {
    let euro = Token::new("EURC", EURO, 6).signing_domain("EURC", "2");
    let option = PriceOption::new("eip155:84532".parse().unwrap(), EURO, 7, OTHER);
    let prices = table()
        .token("eip155:84532", euro)
        .charge("GET /atomic", Price::atomic("eip155:84532", 1000))
        .charge("GET /symbol", Price::token("eip155:84532", "EURC", "1.5").or("$1"))
        .charge("GET /address", Price::token("eip155:84532", EURO.to_lowercase(), "2"))
        .charge("GET /options", Price::options(vec![option]))
        .build()
        .unwrap();
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let wanted = [(usdc, "1000"), (EURO, "1500000"), (usdc, "1000000"), (EURO, "2000000"), (EURO, "7")];
    let wanted = wanted.map(|(asset, amount)| ("eip155:84532".into(), asset.into(), amount.into()));
    assert_eq!(options(&prices), wanted);
    assert!(prices.options().all(|option| option.extra.contains_key("version")));
}

#[test]
fn a_network_of_ones_own_asks_dollars_in_its_own_token() {
    let token = Token::new("TEST", EURO, 18).signing_domain("Test", "1");
    let prices = Prices::new("http://127.0.0.1:3000")
        .token("eip155:31337", token)
        .pay_to("eip155:31337", PAYEE)
        .charge("GET /a", "$0.01")
        .build()
        .unwrap();
    assert_eq!(options(&prices)[0].2, "10000000000000000");
}

#[test]
fn a_token_of_ones_own_corrects_the_table() {
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let token = Token::new("USDC", usdc, 6).signing_domain("Other", "9");
    let prices = table().token("eip155:84532", token).charge("GET /a", "$0.01").build().unwrap();
    assert_eq!(prices.options().next().unwrap().extra["name"], "Other");
}

#[test]
fn every_mistake_in_a_price_is_named() {
    let option = || PriceOption::new("eip155:84532".parse().unwrap(), EURO, 7, PAYEE);
    let known = |pay_to: &str| {
        let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        PriceOption::new("eip155:84532".parse().unwrap(), usdc, 7, pay_to)
    };
    let mut escrow = known(PAYEE);
    escrow.scheme = "auth-capture".into();
    let mut upto = known(PAYEE);
    upto.scheme = "upto".into();
    let mut slow = known(PAYEE);
    slow.max_timeout_seconds = 4000;
    let mut solana = known(PAYEE);
    solana.network = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
    let mut permit = known(PAYEE);
    Arc::make_mut(&mut permit.extra).insert("assetTransferMethod".into(), "permit3".into());
    let cases: Vec<(PriceRule, &str)> = vec![
        ("0.01".into(), "`0.01` is not a price such as `$0.01`"),
        ("$".into(), "amount is empty"),
        ("$-1".into(), "not plain decimal digits"),
        ("$1e2".into(), "not plain decimal digits"),
        ("$0".into(), "write a free route with `free`"),
        ("$0.00".into(), "write a free route with `free`"),
        ("$0.0000001".into(), "more than 6 decimal places"),
        (Price::atomic("eip155:84532", 0).into(), "the price is zero"),
        (Price::atomic("base-sepolia", 1).into(), "write `eip155:84532`"),
        (Price::atomic("eip155:084532", 1).into(), "plain decimal chain id"),
        (Price::atomic("eip155:8453", 1).into(), "`eip155:8453` has no recipient; add it with `pay_to`"),
        (Price::atomic("eip155:31337", 1).into(), "not a known network"),
        (Price::atomic("eip155:11155111", 1).into(), "no default token"),
        (Price::atomic("stellar:pubnet", 1).into(), "only those are supported"),
        (Price::token("eip155:84532", "EURC", "1").into(), "`EURC` is not a known token"),
        (Price::token("eip155:84532", "USDC", "1.").into(), "`1.`: amount is not plain"),
        (Price::token("eip155:4326", "MegaUSD", "1").into(), "has no recipient"),
        (Price::options(vec![]).into(), "no way to pay"),
        (Price::options(vec![option()]).into(), "the signing domain"),
        (Price::options(vec![escrow]).into(), "scheme `auth-capture`"),
        (Price::options(vec![upto]).into(), "cannot be moved that way"),
        (Price::options(vec![known(PAYEE).upto("0x1234")]).into(), "is not an address"),
        (Price::from("$1").permit2().or(Price::from("$2").permit2()).into(), "asked for twice"),
        (Price::up_to("0.01").into(), "`0.01` is not a price such as `$0.01`"),
        (Price::options(vec![slow]).into(), "4000 seconds"),
        (Price::options(vec![solana]).into(), "not an EVM network"),
        (Price::options(vec![permit]).into(), "cannot be moved that way"),
        (Price::options(vec![known("0x1234")]).into(), "is not an address"),
        (Price::options(vec![known(&PAYEE.replace('B', "b"))]).into(), "wrong checksum"),
        (
            Price::options(vec![known("0x0000000000000000000000000000000000000000")]).into(),
            "nobody can spend",
        ),
        (
            Price::options(vec![known("0x036cbd53842c5426634e7929541ec2318f3dcf7e")]).into(),
            "would keep the money",
        ),
        (Price::options(vec![known(PAYEE), known(OTHER)]).into(), "asked for twice"),
        (Price::from("$1").or("$2").into(), "asked for twice"),
        (
            Price::from("$1").or(Price::dynamic(|_| async { Ok::<_, PriceError>("$1") })).into(),
            "stands alone",
        ),
        (PriceRule::new("$1").max_timeout(Duration::from_secs(5)), "5 seconds"),
        (PriceRule::new("$1").description("x".repeat(501)), "longer than 500"),
        (PriceRule::new("$1").mime_type("text/plain\r\nx: y"), "media type"),
    ];
    for (rule, hint) in cases {
        let error = table().charge("GET /a", rule.clone()).build().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("route `GET /a`: ") && text.contains(hint), "{text}, wanted {hint}");
        assert!(table().charge("GET /b", "$1").build().unwrap().only(rule).is_err());
    }
}

#[test]
fn every_mistake_around_the_prices_is_named() {
    let token = || Token::new("TEST", EURO, 6);
    let mut permit = token().signing_domain("Test", "1");
    permit.transfer_method = TransferMethod::Native;
    let base = || table().charge("GET /a", "$1");
    for (builder, hint) in [
        (Prices::new("http://api.example.com"), "origin: `http://api.example.com` is not encrypted"),
        (Prices::new("https://api.example.com/v1"), "origin: `https://api.example.com/v1` has a path"),
        (table(), "prices: the table is empty"),
        (
            Prices::new("https://a.example").charge("GET /a", "$1"),
            "there is no recipient; add one with `pay_to`",
        ),
        (
            base().pay_to("base", PAYEE),
            "pay_to `base`: `base` is the network's name in protocol version 1, write `eip155:8453`",
        ),
        (
            base().pay_to("eip155:31337", PAYEE),
            "pay_to `eip155:31337`: `eip155:31337` is not a known network",
        ),
        (base().pay_to("eip155:84532", OTHER), "pay_to `eip155:84532`: the network has two recipients"),
        (base().pay_to("eip155:8453", "0x12"), "pay_to `eip155:8453`: `0x12` is not an address"),
        (base().pay_to("eip155:8453", PAYEE.replace('B', "b")), "wrong checksum"),
        (base().pay_to("eip155:8453", "0x000000000000000000000000000000000000dEaD"), "nobody can spend"),
        (base().pay_to("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", OTHER), "not an EVM network"),
        (base().token("eip155:84532", token()), "token `TEST` of `eip155:84532`: the signing domain"),
        (base().token("eip155:84532", Token::new("T", "0x12", 6)), "is not an address"),
        (base().token("eip155:84532", permit), "cannot be moved that way"),
        (base().token("base", token()), "write `eip155:8453`"),
        (
            base()
                .token("eip155:1", token().signing_domain("a", "1"))
                .token("eip155:1", token().signing_domain("b", "1")),
            "it is added twice",
        ),
        (base().charge("/b", "$1"), "route `/b`: it names no method"),
        (base().charge("GET /{x", "$1"), "route `GET /{x`: in `{x` a parameter is not a whole segment"),
        (base().free("GET /a"), "route `GET /a`: `GET /a` says the same"),
    ] {
        let text = builder.build().unwrap_err().to_string();
        assert!(text.contains(hint), "{text}, wanted {hint}");
    }
}

#[test]
fn permit2_and_upto_are_asked_for_by_price_and_by_token() {
    let one = |price: Price| {
        let prices = table().charge("GET /a", price).build().unwrap();
        let options: Vec<_> = prices.options().cloned().collect();
        assert_eq!(options.len(), 1);
        options[0].clone()
    };
    let permit2 = one(Price::from("$1").permit2());
    assert_eq!((&*permit2.scheme, permit2.transfer_method()), ("exact", TransferMethod::Permit2));
    assert_eq!(permit2.extra["name"], "USDC", "payers may sign their approval");
    assert!(permit2.to_v1(&crate::wire::v2::ResourceInfo::default()).is_none(), "nothing for version 1");
    let upto = one(Price::up_to("$1"));
    assert_eq!((upto.is_upto(), upto.facilitator_address()), (true, None));
    assert_eq!(upto, one(Price::up_to(Price::from("$1").permit2())));
    let named = one(Price::options(vec![permit2.clone().upto(OTHER)]));
    assert_eq!(named.facilitator_address(), Some(OTHER));

    let both = table().charge("GET /a", Price::from("$1").or(Price::from("$1").permit2()));
    assert_eq!(both.build().unwrap().options().count(), 2);
    let at = |network: &str| {
        let prices = Prices::new("https://api.example.com").pay_to(network, OTHER).charge("GET /a", "$1");
        let option = prices.build().unwrap().options().next().unwrap().clone();
        (option.transfer_method(), option.extra.contains_key("name"))
    };
    assert_eq!(at("eip155:4326"), (TransferMethod::Permit2, true), "approvals of MegaUSD can be signed");
    assert_eq!(at("eip155:38833"), (TransferMethod::Permit2, false), "those of this one cannot");
    let own = table().token("eip155:84532", Token::new("T", EURO, 6).permit2());
    let own = own.charge("GET /a", Price::token("eip155:84532", "T", "1")).build().unwrap();
    assert_eq!(own.options().next().unwrap().transfer_method(), TransferMethod::Permit2);
}

#[tokio::test]
async fn computed_prices_take_their_way_to_pay_from_the_rule() {
    let computed = Price::up_to(Price::dynamic(|_| async { Ok::<_, PriceError>("$1") }));
    let prices = table().charge("GET /a", computed).build().unwrap();
    let Lookup::Priced(rule) = prices.lookup("GET", "/a") else { panic!() };
    let RulePrice::Dynamic(pricer) = &rule.price else { panic!() };
    let price = pricer.price(RequestFacts::default()).await.unwrap();
    let options = table().charge("GET /b", price).build().unwrap().options().cloned().collect::<Vec<_>>();
    assert!(options.iter().all(PriceOption::is_upto));
}

#[test]
fn a_402_that_proxies_would_drop_is_a_mistake() {
    let networks =
        ["eip155:1", "eip155:50", "eip155:137", "eip155:143", "eip155:1329", "eip155:8453", "eip155:42220"];
    let many = |builder: PricesBuilder| {
        networks.iter().fold(builder, |builder, network| builder.pay_to(*network, OTHER))
    };
    let plain = many(table()).charge("GET /a", "$1").build().unwrap();
    assert_eq!(plain.options().count(), 8);
    let more = ["eip155:14", "eip155:988", "eip155:36900"];
    let more = more.iter().fold(many(table()), |builder, network| builder.pay_to(*network, OTHER));
    let long = PriceRule::new("$1").description("₮".repeat(500));
    let error = more.charge("GET /a", long).build().unwrap_err().to_string();
    assert!(error.contains("does not fit the 8 KiB"), "{error}");
}

#[tokio::test]
async fn a_computed_price_is_checked_like_a_written_one() {
    let prices = table()
        .charge(
            "GET /by/{size}",
            PriceRule::new(Price::dynamic(|facts: RequestFacts| async move {
                let size = facts.param("size").unwrap_or_default().to_owned();
                if size == "down" {
                    Err("no prices today".to_owned())
                } else {
                    Ok(Price::atomic("eip155:84532", size.len() as u64))
                }
            }))
            .max_timeout(Duration::from_secs(60)),
        )
        .build()
        .unwrap();
    assert_eq!(prices.rules().next().unwrap().price, "dynamic");
    assert_eq!(prices.options().count(), 0);
    let Lookup::Priced(rule) = prices.lookup("GET", "/by/four") else { panic!("not priced") };
    let RulePrice::Dynamic(pricer) = &rule.price else { panic!("not dynamic") };
    let facts =
        |size: &str| RequestFacts { params: rule.params(&format!("/by/{size}")), ..RequestFacts::default() };
    let options = prices.resolve(&pricer.price(facts("four")).await.unwrap(), rule).unwrap();
    assert_eq!((options[0].amount, options[0].max_timeout_seconds), (4.into(), 60));
    assert_eq!(pricer.price(facts("down")).await.unwrap_err().to_string(), "no prices today");
    let nothing = pricer.price(RequestFacts::default()).await.unwrap();
    assert_eq!(prices.resolve(&nothing, rule), Err(PriceError::Zero));
    let nested = Price::dynamic(|_| async { Ok::<_, PriceError>("$1") });
    assert_eq!(prices.resolve(&nested, rule), Err(PriceError::NestedDynamic));
}

#[test]
fn a_facilitator_names_its_account_or_takes_no_ceiling() {
    let table = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", OTHER)
        .charge("GET /metered", Price::up_to("$0.10"))
        .build()
        .unwrap();
    let settled_by = |extra: serde_json::Value| {
        let kind = serde_json::json!({
            "x402Version": 2, "scheme": "upto", "network": "eip155:84532", "extra": extra,
        });
        table.settled_by(serde_json::from_value(serde_json::json!({ "kinds": [kind] })).unwrap())
    };
    let account = "0x976EA74026E726554dB657fA54763abd0C3a0aa9";
    let settled = settled_by(serde_json::json!({ "facilitatorAddress": account })).unwrap();
    assert_eq!(settled.options().next().unwrap().facilitator_address(), Some(account));
    let Lookup::Priced(rule) = settled.lookup("GET", "/metered") else { panic!("it costs something") };
    let RulePrice::Fixed(fixed) = &rule.price else { panic!("its price is fixed") };
    assert_eq!(fixed.options[0].facilitator_address(), Some(account), "and so it is offered");
    for extra in [
        serde_json::json!(null),
        serde_json::json!({ "facilitatorAddress": "nobody" }),
        serde_json::json!({ "facilitatorAddress": 1 }),
        serde_json::json!({ "facilitatorAddress": "0x0000000000000000000000000000000000000000" }),
    ] {
        let error = settled_by(extra.clone()).unwrap_err();
        assert_eq!(error.at(), "route `GET /metered`", "{extra}: {error}");
    }
}
