use super::{Done, Failure, Tally};
use crate::{
    job,
    workspace::{Metadata, cargo},
};

/// Compiles the crates with features bare, and with each feature alone.
pub(super) fn check() -> Result<Done, Failure> {
    let metadata = Metadata::read()?;
    for (package, base) in PACKAGES {
        for feature in [""].into_iter().chain(metadata.features(package)?) {
            let features = [base, feature].join(" ");
            println!("{package} with [{}]", features.trim());
            let bare = ["check", "--package", package, "--no-default-features", "--features", &features];
            job::run(&mut cargo(bare))?;
        }
    }
    Ok(Done::Passed(Tally::default()))
}

/// Each with the least it can do with: the EVM crate refuses to compile without a curve.
const PACKAGES: [(&str, &str); 8] = [
    ("x402-core", ""),
    ("x402-store", ""),
    ("x402-tower", ""),
    ("x402-axum", ""),
    ("x402-actix", ""),
    ("x402-server", ""),
    ("x402-evm", "secp256k1"),
    ("x402-evm", "k256"),
];
