//! x402-benches
