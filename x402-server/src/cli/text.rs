//! What is shown to people.

use std::fmt::Write as _;

use x402_core::{
    order::Order,
    price::{AtomicAmount, NetworkId, token},
};

/// Without anything that a terminal would obey: parts of orders were written by strangers.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_direction(character) {
            let _ = write!(plain, "{}", character.escape_unicode());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Marks that turn the order of what stands around them.
const fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `0.01 USDC` for tokens that are known, else atomic units and the token's address.
pub(super) fn money(amount: AtomicAmount, network: &NetworkId, asset: &str) -> String {
    match token(network, asset) {
        Some(token) => format!("{} {}", amount.to_decimal(token.decimals), token.symbol),
        None => format!("{amount} {}", plain(asset)),
    }
}

/// What an order moves; where what was used is charged, that and the ceiling: `0.003/0.01 USDC`.
pub(super) fn charged(order: &Order) -> String {
    let option = &order.terms.option;
    let ceiling = money(option.amount, &option.network, &option.asset);
    match order.charge {
        None => ceiling,
        Some(charge) => {
            let charge = money(charge, &option.network, &option.asset);
            let (amount, _) = charge.split_once(' ').unwrap_or((&charge, ""));
            format!("{amount}/{ceiling}")
        }
    }
}

#[cfg(test)]
mod tests {
    use x402_core::{order::MemoryStore, testing::store_contract::Payments};

    use super::*;

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        assert_eq!(
            plain("/weather/\u{1b}[2Joslo\n\u{202e}\u{9b}"),
            "/weather/\\u{1b}[2Joslo\\u{a}\\u{202e}\\u{9b}"
        );
        assert_eq!(plain("/wetter/köln"), "/wetter/köln");
    }

    #[test]
    fn money_is_shown_in_units_that_people_know() {
        let network = "eip155:84532".parse().unwrap();
        let usdc = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
        assert_eq!(money(10_000.into(), &network, usdc), "0.01 USDC");
        assert_eq!(money(5.into(), &network, "0xabc"), "5 0xabc");
    }

    #[test]
    fn a_charge_stands_before_its_ceiling() {
        let payments = Payments::new(std::sync::Arc::new(MemoryStore::new()));
        let mut order = Order::opened(&payments.request(0), 1, payments.now);
        assert!(!charged(&order).contains('/'), "{}", charged(&order));
        let ceiling = charged(&order);
        for (charge, wanted) in [(0_u64, "0/"), (3_000, "0.003/"), (10_000, "0.01/")] {
            order.charge = Some(charge.into());
            let known = charged(&order);
            assert!(known.ends_with(&ceiling) && known.contains('/'), "{known}");
            assert!(known.starts_with(wanted) || known.starts_with(&format!("{charge}/")), "{known}");
        }
    }
}
