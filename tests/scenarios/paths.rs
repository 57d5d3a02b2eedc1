//! No spelling of a priced path reaches its handler unpaid: the handler ran, so somebody was charged.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use x402_tests::{Connection, Framework, Request, Shop, paid_runs};

through_every_adapter!(
    known_aliases_are_not_free,
    no_spelling_is_free,
    no_bytes_are_free,
    a_cheap_payment_opens_no_dear_path,
);

const PRICED: [&str; 12] = [
    "exact",
    "cheap",
    "dear",
    "items/7",
    "files/a/b",
    "files/x.txt",
    "slow",
    "stream",
    "fails",
    "panics",
    "redirects",
    "cacheable",
];

/// The answer to a request line, if it is HTTP at all.
fn status(shop: &Shop, method: &str, target: &[u8]) -> Option<u16> {
    Request::new(method, target).send(shop.server.address()).ok().map(|response| response.status)
}

fn assert_nothing_ran(shop: &Shop, what: &str) {
    let runs = paid_runs(&shop.server);
    assert!(runs.is_empty(), "{what} reached a handler unpaid: {runs:?}");
}

fn known_aliases_are_not_free(framework: Framework) {
    let shop = Shop::open(framework);
    for target in [
        "/exact/",
        "//exact",
        "/exact//",
        "///exact",
        "/./exact",
        "/exact/.",
        "/free/../exact",
        "/free/%2e%2e/exact",
        "/free/.%2E/exact",
        "/%65xact",
        "/%45xact",
        "/ex%61ct",
        "/exact%2f",
        "/exact%2F",
        "/exact%5c",
        "/exact\\",
        "\\exact",
        "/exact%00",
        "/exact%",
        "/exact%6",
        "/exact%zz",
        "/exact;a=b",
        "/exact;",
        "/exact%3b",
        "/EXACT",
        "/Exact",
        "/exact%20",
        "/exact ",
        "/exact%0a",
        "/exact.",
        "/exact..",
        "/%2fexact",
        "/free/..;/exact",
        "/free%2f..%2fexact",
        "/free%252f..%252fexact",
        "/%2565xact",
        "/exact?x",
        "/exact?",
        "/exact#f",
        "/free#/../exact",
        "/items/",
        "/items//",
        "/items//7",
        "/items/%2e",
        "/items/a%2fb",
        "/items/7/",
        "/files",
        "/files/",
        "/files//",
        "/files/../exact",
        "/files/%2e%2e/exact",
        "/files/a/../../exact",
        "/files//a",
        "/files/a%2fb",
        "/files/a/",
        "/stats/../exact",
        "//127.0.0.1/exact",
        "/free/exact",
        "/ex\u{e4}ct",
        "/exact%c3%a4",
        "/exact%ff",
        "/exact%c0%ae",
        "http://shop.test/exact",
        "http://evil.example/exact",
        "HTTP://shop.test/exact",
        "http://shop.test//exact",
        "http://shop.test/free/../exact",
        "http://exact",
        "shop.test:80",
        "*",
        "exact",
        "",
        "?",
        "/exact\t",
        "/\u{feff}exact",
        "/fullwidth\u{ff0f}exact",
        "/exact%e2%80%8b",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let status = status(&shop, method, target.as_bytes());
            assert_ne!(status, Some(500), "{method} {target}");
            assert_nothing_ran(&shop, &format!("{method} {target}"));
        }
    }
    assert_eq!(shop.transfers(), 0);
}

fn spelling() -> impl Strategy<Value = Vec<u8>> {
    let slash = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "//",
        "/./",
        "/../",
        "/%2e/",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "/;/",
        "/x/../",
        "/free/../",
        "/files/",
    ]);
    let path = prop::sample::select(PRICED.to_vec());
    let tail = prop::sample::select(vec![
        "", "", "", "/", "//", "/.", ";a=b", "?", "?a=/free", "#", "%00", "%20", ".", "%", "/..", "%2e",
        "/%2e%2e", "\u{e9}", "%ff",
    ]);
    (
        slash,
        path,
        tail,
        any::<u64>(),
        prop::sample::select(vec!["", "", "", "", "http://shop.test", "//shop.test"]),
    )
        .prop_map(|(slash, path, tail, dice, before)| {
            let mut text = before.to_owned() + slash;
            for (at, letter) in path.chars().enumerate() {
                match dice >> (at * 3 % 60) & 15 {
                    0 => text.push_str(&format!("%{:02x}", u32::from(letter))),
                    1 => text.push_str(&format!("%{:02X}", u32::from(letter))),
                    2 => text.push_str(&format!("%25{:02x}", u32::from(letter))),
                    3 => text.push(letter.to_ascii_uppercase()),
                    4 if letter == '/' => text.push_str("//"),
                    _ => text.push(letter),
                }
            }
            (text + tail).into_bytes()
        })
}

fn method() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "get", "PROPFIND"])
}

fn nothing_of(shop: &Shop, cases: u32, targets: impl Strategy<Value = Vec<u8>>) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&(method(), targets), |(method, target)| {
        let status = status(shop, method, &target);
        let runs = paid_runs(&shop.server);
        prop_assert!(runs.is_empty(), "{} {} ran {:?}", method, target.escape_ascii(), runs);
        prop_assert_ne!(status, Some(500), "{} {}", method, target.escape_ascii());
        Ok::<(), TestCaseError>(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shop.transfers(), 0);
}

fn no_spelling_is_free(framework: Framework) {
    nothing_of(&Shop::open(framework), 400, spelling());
}

fn no_bytes_are_free(framework: Framework) {
    let shop = Shop::open(framework);
    let inserted =
        (prop::sample::select(PRICED.to_vec()), any::<prop::sample::Index>(), any::<[u8; 2]>(), 0..3_usize);
    let targets = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(prop::sample::select(b"/.%2eE fcatxs;\\?#:@".to_vec()), 0..20),
        inserted.prop_map(|(path, at, bytes, count)| {
            let mut target = [b"/", path.as_bytes()].concat();
            let at = at.index(target.len() + 1);
            target.splice(at..at, bytes[..count].iter().copied());
            target
        }),
    ];
    // A line break would be another request altogether; one without a target would wait for the rest.
    nothing_of(
        &shop,
        400,
        targets.prop_filter("one line", |target| !target.iter().any(|byte| b"\r\n".contains(byte))),
    );
    // The same against a raw connection, with line breaks and all.
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&prop::collection::vec(any::<u8>(), 0..200), |bytes| {
        let mut connection = Connection::open(shop.server.address()).expect("the server listens");
        let _ = connection.write(&bytes);
        drop(connection.rest_within(Duration::from_millis(20)));
        Ok(())
    });
    ran.unwrap();
    assert_nothing_ran(&shop, "noise");
    assert_eq!(shop.send(&Request::get("/free")).status, 200, "the server lives on");
}

fn a_cheap_payment_opens_no_dear_path(framework: Framework) {
    let shop = Shop::open(framework);
    // Version 1 has no quote that would tell the requests apart.
    let payment = shop.payer.v1(&shop.ask("/cheap"));
    for target in [
        "/dear",
        "/dear/",
        "//dear",
        "/cheap/../dear",
        "/%64ear",
        "/cheap/%2e%2e/dear",
        "/./dear",
        "/dear;/cheap",
        "/dear?/cheap",
    ] {
        let response = shop.send(&Request::get(target).paying(&payment));
        assert!(matches!(response.status, 400 | 402 | 404), "{target}: {}", response.status);
    }
    assert_eq!((shop.transfers(), paid_runs(&shop.server).len()), (0, 0));
    assert_eq!(shop.send(&Request::get("/cheap").paying(&payment)).status, 200);
}
