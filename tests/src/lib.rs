//! x402-tests
