//! The x402 paywall for axum: the layer, extractors, per-route prices.
