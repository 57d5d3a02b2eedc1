use serde_json::json;

use crate::{DevChain, DevChainError, accounts};

/// The state that the recorded answers of a facilitator were made in (`facilitator-v1.json`, `facilitator-v2.json`).
impl DevChain {
    /// Puts a new chain into the state before the first case: its time, a second token with quirks, and wallets.
    ///
    /// # Errors
    ///
    /// When the node refuses, or a transaction fails.
    pub fn as_recorded(&self) -> Result<(), DevChainError> {
        self.rpc("evm_setNextBlockTimestamp", json!([RECORDED_AT]))?;
        self.mine(1)?;
        self.place("X402TestToken", QUIRK_TOKEN)?;
        self.place("X402TestWalletFactory", FACTORY)?;
        let (payer, owner) = (accounts()[1].address, accounts()[3].address);
        let places = format!("{:064x}{:064x}{:064x}", 0x60, 0xa0, 6);
        self.send(QUIRK_TOKEN, &format!("{CONFIGURE}{places}{}{}", text("Quirk Dollar"), text("1")))?;
        self.send(QUIRK_TOKEN, &format!("{MINT}{}{:064x}", word(payer), 1_000_000_000))?;
        self.send(FACTORY, &format!("{CREATE_WALLET}{}{:064x}", word(owner), 1))?;
        self.mint(payer, 1_000_000_000)?;
        self.approve_permit2(payer, u128::MAX)?;
        // Who holds tokens and has not approved Permit2.
        self.mint(accounts()[8].address, 1_000_000)?;
        WALLETS.into_iter().try_for_each(|wallet| self.mint(wallet, 1_000_000))
    }

    /// Gives the tokens the quirks that a case's name speaks of.
    ///
    /// # Errors
    ///
    /// When a transaction fails or is not mined in time.
    pub fn arrange(&self, case: &str) -> Result<(), DevChainError> {
        let quirks = QUIRKS.iter().find(|(name, _)| case.contains(name)).map_or(0, |(_, bits)| *bits);
        self.send(QUIRK_TOKEN, &format!("{SET_QUIRKS}{quirks:064x}"))?;
        self.set_quirks(if case.contains("token-paused") { 8 } else { 0 })?;
        self.set_blacklisted(accounts()[1].address, case == "payer-blacklisted")
    }

    fn send(&self, to: &str, data: &str) -> Result<(), DevChainError> {
        self.transact(json!({ "to": to, "data": data, "gas": "0x4c4b40" })).map(drop)
    }
}

/// When the answers were recorded, in Unix seconds.
pub const RECORDED_AT: u64 = 1_800_000_200;
/// The factory that may deploy the payer's account while it pays.
pub const FACTORY: &str = "0x4020000000000000000000000000000000006492";

fn text(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{:064x}{hex:0<64}", text.len())
}

fn word(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
}

const QUIRK_TOKEN: &str = "0x4020000000000000000000000000000000003009";
/// One exists, two are deployed by who pays with them.
const WALLETS: [&str; 2] =
    ["0x8aC87AAf711645FDD859Fa60FCD04A894de0f223", "0x3b7dae266045F9a2b9f589a19C6Fede124E83326"];
const QUIRKS: [(&str, u64); 4] = [
    ("token-silent-on-used-nonce", 1),
    ("token-moves-nothing", 2),
    ("token-without-bytes-overload", 16),
    ("token-reverts-on-chain-only", 64),
];
const CONFIGURE: &str = "0xef171107";
const CREATE_WALLET: &str = "0xf247d217";
const MINT: &str = "0x40c10f19";
const SET_QUIRKS: &str = "0x833bee7b";
