//! No spelling of a priced path reaches its handler unpaid: the handler ran, so somebody was charged.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use x402_tests::{Connection, Framework, Request, Shop, paid_runs, spelling};

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
    for target in ALIASES.split_whitespace().chain(ODD_ALIASES) {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let status = status(&shop, method, target.as_bytes());
            assert_ne!(status, Some(500), "{method} {target}");
            assert_nothing_ran(&shop, &format!("{method} {target}"));
        }
    }
    assert_eq!(shop.transfers(), 0);
}

fn nothing_of(shop: &Shop, cases: u32, targets: impl Strategy<Value = Vec<u8>>) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&(spelling::method(), targets), |(method, target)| {
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
    nothing_of(&Shop::open(framework), 400, spelling::spelling(&PRICED));
}

fn no_bytes_are_free(framework: Framework) {
    let shop = Shop::open(framework);
    nothing_of(&shop, 400, spelling::noise(&PRICED));
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
    let targets =
        "/dear /dear/ //dear /cheap/../dear /%64ear /cheap/%2e%2e/dear /./dear /dear;/cheap /dear?/cheap";
    for target in targets.split(' ') {
        let response = shop.send(&Request::get(target).paying(&payment));
        assert!(matches!(response.status, 400 | 402 | 404), "{target}: {}", response.status);
    }
    assert_eq!((shop.transfers(), paid_runs(&shop.server).len()), (0, 0));
    assert_eq!(shop.send(&Request::get("/cheap").paying(&payment)).status, 200);
}

/// Spellings of `/exact` and others that some server, somewhere, took for them.
const ALIASES: &str = r"
/exact/ //exact /exact// ///exact /./exact /exact/. /free/../exact /free/%2e%2e/exact /free/.%2E/exact
/%65xact /%45xact /ex%61ct /exact%2f /exact%2F /exact%5c /exact\ \exact /exact%00 /exact% /exact%6
/exact%zz /exact;a=b /exact; /exact%3b /EXACT /Exact /exact%20 /exact%0a /exact. /exact.. /%2fexact
/free/..;/exact /free%2f..%2fexact /free%252f..%252fexact /%2565xact /exact?x /exact? /exact#f
/free#/../exact /items/ /items// /items//7 /items/%2e /items/a%2fb /items/7/ /files /files/ /files//
/files/../exact /files/%2e%2e/exact /files/a/../../exact /files//a /files/a%2fb /files/a/ /stats/../exact
//127.0.0.1/exact /free/exact /exact%c3%a4 /exact%ff /exact%c0%ae http://shop.test/exact
http://evil.example/exact HTTP://shop.test/exact http://shop.test//exact http://shop.test/free/../exact
http://exact shop.test:80 * exact ? /exact%e2%80%8b
";
const ODD_ALIASES: [&str; 6] =
    ["/exact ", "/ex\u{e4}ct", "", "/exact\t", "/\u{feff}exact", "/fullwidth\u{ff0f}exact"];
