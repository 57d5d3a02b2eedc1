//! The table against a matcher so plain that it is obviously right, and against routers that read paths loosely.

use proptest::prelude::*;

use super::*;
use crate::price::{Prices, path::decode};

fn prices(routes: &[(&str, bool)]) -> Prices {
    try_prices(routes).unwrap()
}

fn try_prices(routes: &[(&str, bool)]) -> Result<Prices, crate::error::ConfigError> {
    let builder = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
    let add = |builder: crate::price::PricesBuilder, &(pattern, priced): &(&str, bool)| {
        if priced { builder.charge(pattern, "$0.01") } else { builder.free(pattern) }
    };
    routes.iter().fold(builder, add).build()
}

/// One word per outcome, for tables.
fn word(lookup: &Lookup<'_>) -> String {
    match lookup {
        Lookup::Free => "free".to_owned(),
        Lookup::Reject => "reject".to_owned(),
        Lookup::Ambiguous => "400".to_owned(),
        Lookup::Priced(rule) => rule.pattern.to_string(),
        Lookup::MethodNotAllowed { allow } => format!("405 {}", std::str::from_utf8(allow).unwrap()),
        Lookup::Options { allow } => format!("204 {}", std::str::from_utf8(allow).unwrap()),
    }
}

#[test]
fn requests_find_their_rule() {
    let prices = prices(&[
        ("GET /weather/{city}", true),
        ("GET /weather/today", false),
        ("POST,PUT /weather/{town}", true),
        ("* /files/{*rest}", true),
        ("GET /files/terms.txt", false),
        ("GET /", true),
        ("OPTIONS /own", true),
        ("GET /own", true),
        ("HEAD /heads", false),
        ("GET /heads", true),
        ("GET /slash/", true),
        ("* /pub/{*rest}", false),
    ]);
    for (method, path, wanted) in [
        ("GET", "/weather/oslo", "GET /weather/{city}"),
        ("HEAD", "/weather/oslo", "GET /weather/{city}"),
        ("POST", "/weather/oslo", "POST,PUT /weather/{town}"),
        ("DELETE", "/weather/oslo", "405 GET, HEAD, POST, PUT, OPTIONS"),
        ("get", "/weather/oslo", "405 GET, HEAD, POST, PUT, OPTIONS"),
        ("DELETE", "/heads", "405 GET, HEAD, OPTIONS"),
        ("BREW", "/weather/oslo", "405 GET, HEAD, POST, PUT, OPTIONS"),
        ("OPTIONS", "/weather/oslo", "204 GET, HEAD, POST, PUT, OPTIONS"),
        ("GET", "/weather/today", "free"),
        ("HEAD", "/weather/today", "free"),
        ("POST", "/weather/today", "POST,PUT /weather/{town}"),
        ("DELETE", "/weather/today", "405 GET, HEAD, POST, PUT, OPTIONS"),
        ("GET", "/weather/New%20York", "GET /weather/{city}"),
        ("GET", "/weather/", "free"),
        ("GET", "/weather", "free"),
        ("GET", "/Weather/oslo", "free"),
        ("GET", "/weather/oslo/", "400"),
        ("GET", "//weather/oslo", "400"),
        ("GET", "/%77eather/oslo", "400"),
        ("GET", "/weather/%74oday", "400"),
        ("GET", "/weather/a%2Fb", "400"),
        ("GET", "/weather/../weather/oslo", "400"),
        ("DELETE", "/%66iles/a", "400"),
        ("PATCH", "/files/a//b/", "* /files/{*rest}"),
        ("GET", "/files/", "* /files/{*rest}"),
        ("GET", "/files", "* /files/{*rest}"),
        ("GET", "/files//", "* /files/{*rest}"),
        ("GET", "/files/terms.txt", "free"),
        ("GET", "/files/terms.txt/", "400"),
        ("GET", "/", "GET /"),
        ("GET", "//", "400"),
        ("POST", "/", "405 GET, HEAD, OPTIONS"),
        ("OPTIONS", "/own", "OPTIONS /own"),
        ("HEAD", "/heads", "free"),
        ("GET", "/slash/", "GET /slash/"),
        ("GET", "/slash", "GET /slash/"),
        ("GET", "/pub/", "free"),
        ("OPTIONS", "/pub/x", "free"),
        ("GET", "/elsewhere/", "free"),
        ("GET", "/elsewhere/%2e%2e", "400"),
        ("OPTIONS", "*", "400"),
    ] {
        assert_eq!(word(&prices.lookup(method, path)), wanted, "{method} {path}");
    }
}

#[test]
fn a_bare_prefix_that_two_rules_claim_is_refused_until_it_has_its_own() {
    let two = [("GET /{*rest}", true), ("GET /premium/{*rest}", true)];
    for path in ["/premium", "/premium/"] {
        assert_eq!(word(&prices(&two).lookup("GET", path)), "400", "{path}");
    }
    let three = [two[0], two[1], ("GET /premium", true)];
    assert_eq!(word(&prices(&three).lookup("GET", "/premium")), "GET /premium");
    assert_eq!(word(&prices(&two).lookup("GET", "/premium/a")), "GET /premium/{*rest}");
    assert_eq!(word(&prices(&two).lookup("GET", "/")), "GET /{*rest}");
}

#[test]
fn a_free_wildcard_does_not_open_the_bare_prefix_of_a_priced_one() {
    let prices = prices(&[("* /{*rest}", false), ("GET /files/{*rest}", true), ("GET /about", false)]);
    assert_eq!(word(&prices.lookup("GET", "/files/")), "GET /files/{*rest}");
    assert_eq!(word(&prices.lookup("GET", "/files")), "GET /files/{*rest}");
    assert_eq!(word(&prices.lookup("GET", "/about")), "free");
    assert_eq!(word(&prices.lookup("POST", "/files/")), "free");
}

#[test]
fn readings_that_undo_a_spelling_in_part_count() {
    // Some routers decode all but the plus sign, some normalisers drop outer slashes and keep inner ones.
    let prices = prices(&[
        ("GET /{a}/{b}", false),
        ("GET /a/{b}", true),
        ("GET /a/x+y", false),
        ("GET /files/{*rest}", true),
        ("GET /files/index", false),
    ]);
    for path in ["/%61/x%2By", "/%61/x%2by", "//files//index", "//files//index/", "///files//index"] {
        assert_eq!(word(&prices.lookup("GET", path)), "400", "{path}");
    }
}

#[test]
fn unknown_requests_are_refused_when_told_so() {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /a", "$0.01")
        .free("GET /b")
        .unmatched(UnmatchedRoute::Reject)
        .build()
        .unwrap();
    for (method, path, wanted) in [
        ("GET", "/a", "GET /a"),
        ("GET", "/b", "free"),
        ("POST", "/b", "reject"),
        ("GET", "/c", "reject"),
        ("OPTIONS", "/c", "reject"),
        ("POST", "/a", "405 GET, HEAD, OPTIONS"),
    ] {
        assert_eq!(word(&prices.lookup(method, path)), wanted, "{method} {path}");
    }
}

#[test]
fn one_rule_for_everything_still_refuses_paths_of_two_readings() {
    let prices = prices(&[("GET /a", true)]).only("$1").unwrap();
    for (method, path, wanted) in [
        ("GET", "/whatever/", "*"),
        ("BREW", "/", "*"),
        ("OPTIONS", "/x", "204 GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("GET", "/a/../b", "400"),
    ] {
        assert_eq!(word(&prices.lookup(method, path)), wanted, "{method} {path}");
    }
}

#[test]
fn parameters_are_decoded() {
    let prices = prices(&[("GET /a/{b}/{*c}", true)]);
    for (path, b, c) in [("/a/x%20y/z/%C3%A9/", "x y", "z/é/"), ("/a/x/", "x", ""), ("/a/x", "x", "")] {
        let Lookup::Priced(rule) = prices.lookup("GET", path) else { panic!("{path}") };
        let wanted = [("b".to_owned(), b.to_owned()), ("c".to_owned(), c.to_owned())];
        assert_eq!(rule.params(path), wanted, "{path}");
    }
}

#[test]
fn patterns_that_say_the_same_are_a_mistake() {
    for (routes, hint) in [
        ([("GET /a/{x}", true), ("GET /a/{y}", true)], "`GET /a/{x}` says the same"),
        ([("GET /a", true), ("* /a", false)], "`GET /a` says the same"),
        ([("GET /a", false), ("GET /a/", true)], "drop the last slash and read `GET /a`"),
        ([("GET /a/", true), ("GET /a", true)], "drop the last slash and read `GET /a`"),
    ] {
        let error = try_prices(&routes).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
    assert!(try_prices(&[("GET /a", true), ("POST /a", true), ("GET /a/b", true)]).is_ok());
}

/// The most specific written pattern for a method and a path, by trying all of them. A loose router also lets a
/// wildcard be empty.
fn naive<'a>(routes: &[(&'a str, bool)], method: &str, path: &str, loose: bool) -> Option<(&'a str, bool)> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut best: Option<(Vec<u8>, bool, (&str, bool))> = None;
    for &(text, priced) in routes {
        let pattern = Pattern::parse(text).unwrap();
        let names = |method: &str| pattern.methods.iter().any(|known| **known == *method);
        // A rule of its own beats GET's for HEAD, where both patterns are equal.
        let own = names(method);
        let takes_gets = method == "HEAD" && names("GET");
        if !own && !takes_gets {
            continue;
        }
        let Some(rank) = rank(&pattern.segments, &parts, loose) else { continue };
        let better = best
            .as_ref()
            .is_none_or(|(known, known_own, _)| rank < *known || (rank == *known && own && !known_own));
        if better {
            best = Some((rank, own, (text, priced)));
        }
    }
    best.map(|(_, _, route)| route)
}

/// How specific a pattern is segment by segment, smaller is more, if it fits.
fn rank(segments: &[Segment], parts: &[&str], loose: bool) -> Option<Vec<u8>> {
    match (segments, parts) {
        ([], []) => Some(vec![]),
        ([Segment::Wildcard(_)], rest) if loose || !rest.join("/").is_empty() => {
            (!rest.is_empty()).then(|| vec![2])
        }
        ([Segment::Literal(text), segments @ ..], [part, parts @ ..]) if **text == **part => {
            Some([vec![0], rank(segments, parts, loose)?].concat())
        }
        ([Segment::Param(_), segments @ ..], [part, parts @ ..]) if !part.is_empty() => {
            Some([vec![1], rank(segments, parts, loose)?].concat())
        }
        _ => None,
    }
}

/// What a router may make of a path, in whatever order it does so.
fn loose_readings(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned(), decode(path).into_owned()];
    all.push(decode(&path.replace('%', "%25").replace("%2561", "%61").replace("%2562", "%62")).into_owned());
    for _ in 0..2 {
        for known in all.clone() {
            let mut collapsed = known.clone();
            while collapsed.contains("//") {
                collapsed = collapsed.replace("//", "/");
            }
            let trimmed = known.trim_end_matches('/');
            all.push(collapsed);
            all.push(format!("/{}", known.trim_matches('/')));
            all.push(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() });
        }
    }
    all.sort();
    all.dedup();
    all
}

fn routes() -> impl Strategy<Value = Vec<(&'static str, bool)>> {
    let routes = PATTERNS.to_vec();
    (proptest::sample::subsequence(routes, 1..7), proptest::collection::vec(any::<bool>(), 7))
        .prop_map(|(routes, priced)| routes.into_iter().zip(priced).collect())
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 1 => Just("%61"), 1 => Just("%62"), 1 => Just("c"), 1 => Just(""), 1 => Just("%2561"),
        1 => Just("+"), 1 => Just("%2B"),
    ];
    proptest::collection::vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_spelling_of_a_priced_path_is_served_for_less(
        routes in routes(), path in paths(), method in proptest::sample::select(&METHODS[..]),
    ) {
        let Ok(prices) = try_prices(&routes) else { return Ok(()) };
        let lookup = prices.lookup(method, &path);
        for reading in loose_readings(&path) {
            for loose in [false, true] {
                let Some((pattern, true)) = naive(&routes, method, &reading, loose) else { continue };
                let safe = match &lookup {
                    Lookup::Priced(rule) => *rule.pattern == *pattern,
                    Lookup::Ambiguous => true,
                    _ => false,
                };
                prop_assert!(safe, "{routes:?}: {method} {path}, read as {reading}, is {pattern}: {}", word(&lookup));
            }
        }
    }

    #[test]
    fn any_text_is_answered(pattern in "\\PC{0,20}", path in "[/%.a2eEfF\\PC]{0,30}", method in "\\PC{0,5}") {
        let _ = try_prices(&[(&format!("GET /{pattern}"), true), (&pattern, false)]);
        let prices = prices(&[("GET /a/{b}", true), ("* /{*c}", true)]);
        if let Lookup::Priced(rule) = prices.lookup(&method, &path) {
            let _ = rule.params(&path);
        }
    }

    #[test]
    fn ordinary_paths_find_exactly_the_most_specific_pattern(
        routes in routes(), path in "(/[abc]){1,4}", method in proptest::sample::select(&METHODS[..]),
    ) {
        let routes: Vec<_> = routes.into_iter().filter(|(text, _)| !text.contains('*') && !text.ends_with('/')).collect();
        let Ok(prices) = try_prices(&routes) else { return Ok(()) };
        let wanted = match naive(&routes, method, &path, false) {
            Some((pattern, true)) => pattern.to_owned(),
            Some((_, false)) => "free".to_owned(),
            None => {
                let priced = |method: &&&str| matches!(naive(&routes, method, &path, false), Some((_, true)));
                match METHODS.iter().filter(priced).count() {
                    0 => "free".to_owned(),
                    _ if method == "OPTIONS" => "204".to_owned(),
                    _ => "405".to_owned(),
                }
            }
        };
        let found = word(&prices.lookup(method, &path));
        prop_assert!(found == wanted || (wanted.len() == 3 && found.starts_with(&wanted)), "{routes:?}: {method} {path}: {found}, wanted {wanted}");
    }
}

const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", "BREW"];
const PATTERNS: [&str; 26] = [
    "GET /",
    "GET /a",
    "GET /b",
    "GET /a/",
    "GET /{x}",
    "GET /{x}/",
    "GET /{*x}",
    "GET /a/b",
    "GET /a/+",
    "GET /+",
    "GET /a/{x}",
    "GET /{x}/b",
    "GET /{x}/{y}",
    "GET /a/{*x}",
    "GET /{x}/{*y}",
    "GET /a/b/{*x}",
    "GET /{x}/b/{y}",
    "GET /a/{x}/b",
    "HEAD /{*x}",
    "HEAD /a",
    "HEAD /{x}/b",
    "POST /a",
    "POST /{x}",
    "POST /{*x}",
    "POST /a/{*x}",
    "OPTIONS /a",
];
