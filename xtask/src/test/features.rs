use super::{Done, Failure, Tally};
use crate::{
    job,
    workspace::{Metadata, cargo},
};

/// Compiles the crates with features bare, and with each feature alone.
pub(super) fn check() -> Result<Done, Failure> {
    let metadata = Metadata::read()?;
    for package in PACKAGES {
        let features = metadata.features(package)?;
        for feature in [""].into_iter().chain(features) {
            println!("{package} with {}", if feature.is_empty() { "no features" } else { feature });
            let bare = ["check", "--package", package, "--no-default-features", "--features", feature];
            job::run(&mut cargo(bare))?;
        }
    }
    Ok(Done::Passed(Tally::default()))
}

const PACKAGES: [&str; 2] = ["x402-core", "x402-evm"];
