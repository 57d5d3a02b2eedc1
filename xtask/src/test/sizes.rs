use std::collections::BTreeSet;

use super::{Done, Failure, Tally};
use crate::{BoxError, job, workspace::cargo};

/// Holds the dependency trees to what the architecture promises.
pub(super) fn check() -> Result<Done, Failure> {
    let bare = crates("x402-core", "--no-default-features")?;
    println!("x402-core without features: {} crates, at most {BARE_LIMIT}", bare.len());
    if bare.len() > BARE_LIMIT {
        return Err(format!("x402-core without features needs {} crates: {bare:?}", bare.len()).into());
    }
    let all = WITHOUT_CHAIN.map(|package| (package, "--all-features", "with all features"));
    // Its router alone.
    let router = ("x402-server", "--no-default-features", "without features");
    for (package, features, with) in all.into_iter().chain([router]) {
        let all = crates(package, features)?;
        println!("{package} {with}: {} crates", all.len());
        let chain: Vec<_> = all.iter().filter(|name| name.starts_with("alloy")).collect();
        if !chain.is_empty() {
            return Err(format!("{package} pulls in {chain:?}").into());
        }
    }
    Ok(Done::Passed(Tally::default()))
}

/// What is compiled for users of a package, itself included, as `name version` lines.
fn crates(package: &str, features: &str) -> Result<BTreeSet<String>, BoxError> {
    let tree =
        ["tree", "--package", package, features, "--edges", "normal", "--prefix", "none", "--no-dedupe"];
    let text = job::capture(&mut cargo(tree))?;
    Ok(text.lines().filter_map(name_and_version).collect())
}

/// `serde v1.0.0 (proc-macro)` without what stands in brackets.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

const BARE_LIMIT: usize = 45;
const WITHOUT_CHAIN: [&str; 5] = ["x402-core", "x402-store", "x402-tower", "x402-axum", "x402-actix"];

#[cfg(test)]
mod tests {
    use super::name_and_version;

    #[test]
    fn one_crate_in_two_versions_counts_twice_and_in_two_places_once() {
        let lines =
            ["serde v1.0.0", "serde_derive v1.0.0 (proc-macro)", "serde v1.0.0 (*)", "serde v2.0.0", ""];
        let names: std::collections::BTreeSet<_> = lines.into_iter().filter_map(name_and_version).collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["serde v1.0.0", "serde v2.0.0", "serde_derive v1.0.0"]
        );
    }
}
