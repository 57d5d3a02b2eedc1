//! Conformance server.
fn main() {}
