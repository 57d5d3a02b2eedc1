//! The x402 paywall as a tower layer: tower, hyper, tonic.
