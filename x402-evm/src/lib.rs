//! EVM for the x402 paywall: EIP-3009 verification, settlement and evidence.
