//! The x402 paywall for actix-web: the middleware and extractors.
