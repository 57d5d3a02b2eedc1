use proptest::prelude::*;

use super::*;
use crate::price::{AmountError, NetworkId};

fn option(scheme: &str, amount: impl Into<AtomicAmount>) -> PriceOption {
    let network = NetworkId::new("eip155:84532").unwrap();
    let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let mut option = PriceOption::new(network, asset, amount, "0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
    option.scheme = scheme.into();
    option
}

fn upto(ceiling: u64) -> Charge {
    Charge::new(&option("upto", ceiling), Some(6))
}

fn units(units: u64) -> AtomicAmount {
    AtomicAmount::from(units)
}

#[test]
fn what_was_used_is_said_in_units_in_dollars_or_as_a_part() {
    let amount = |text: &str, error| Err(ChargeError::Amount { text: text.to_owned(), error });
    let above = || Err(ChargeError::AboveCeiling { ceiling: units(50_000) });
    let too_fine = |decimals| AmountError::TooManyPlaces { decimals };
    for (used, wanted) in [
        (Used::from(units(1_234)), Ok(1_234)),
        (Used::from(50_000), Ok(50_000)),
        (Used::from(50_001), above()),
        (Used::from(0), Ok(0)),
        ("1234".into(), Ok(1_234)),
        ("50001".into(), above()),
        ("1.5".into(), amount("1.5", too_fine(0))),
        ("".into(), amount("", AmountError::Empty)),
        ("-1".into(), amount("-1", AmountError::NotDecimal)),
        ("$0.0123".into(), Ok(12_300)),
        ("$0".into(), Ok(0)),
        ("$0.05".into(), Ok(50_000)),
        ("$0.050001".into(), above()),
        (Used::usd("0.0000001"), amount("0.0000001", too_fine(6))),
        ("42.5%".into(), Ok(21_250)),
        ("0%".into(), Ok(0)),
        ("100%".into(), Ok(50_000)),
        ("100.000001%".into(), above()),
        ("0.0019%".into(), Ok(0)),
        ("0.002%".into(), Ok(1)),
        (Used::percent("42,5"), amount("42,5", AmountError::NotDecimal)),
    ] {
        let charge = upto(50_000);
        let said = charge.set(used.clone());
        assert_eq!(said.clone().map(|()| charge.amount()), wanted.map(units), "{used:?}");
        assert_eq!(charge.said().is_some(), said.is_ok());
    }
    let euros = Charge::new(&option("upto", 50_000_u64), None);
    assert_eq!(euros.set("$0.01"), Err(ChargeError::NotDollars));
    assert_eq!(euros.set("50%"), Ok(()));
}

#[test]
fn the_last_word_counts_until_the_payment_is_settled() {
    let charge = upto(1_000);
    let clone = charge.clone();
    assert_eq!((charge.ceiling(), charge.amount()), (units(1_000), units(1_000)));
    charge.set(300).unwrap();
    clone.set(200).unwrap();
    assert!(charge.set(1_001).is_err());
    assert_eq!(charge.amount(), units(200), "what was said before stands");
    assert_eq!(charge.close(), units(200));
    assert_eq!(clone.set(100), Err(ChargeError::TooLate { charged: units(200) }));
    assert_eq!((charge.close(), clone.amount()), (units(200), units(200)));
}

#[test]
fn saying_nothing_means_all_of_a_complete_response_and_nothing_of_another() {
    for (said, complete, wanted) in [
        (None, true, 1_000),
        (None, false, 0),
        (Some(300), true, 300),
        (Some(300), false, 300),
        (Some(0), true, 0),
    ] {
        let charge = upto(1_000);
        if let Some(said) = said {
            charge.set(said).unwrap();
        }
        if complete {
            charge.complete();
        }
        assert_eq!(charge.close(), units(wanted), "{said:?} {complete}");
    }
}

#[test]
fn a_fixed_price_and_a_repeated_run_leave_nothing_to_decide() {
    let fixed = Charge::new(&option("exact", 1_000_u64), Some(6));
    assert_eq!(fixed.set(10), Err(ChargeError::FixedPrice));
    assert_eq!((fixed.close(), fixed.amount()), (units(1_000), units(1_000)));
    let repeated = Charge::repeated(&option("upto", 1_000_u64), Some(6), units(300));
    assert_eq!(repeated.set(700), Ok(()), "its handler runs as it did before");
    assert!(repeated.set(1_001).is_err());
    assert_eq!((repeated.close(), repeated.amount()), (units(300), units(300)));
    assert!(!fixed.is_open() && !repeated.is_open() && upto(1).is_open());
}

proptest! {
    #[test]
    fn no_word_charges_more_than_the_ceiling(ceiling: [u64; 4], text in "[$]?[0-9]{0,30}[.]?[0-9]{0,8}%?") {
        let ceiling = AtomicAmount::new(ruint::aliases::U256::from_limbs(ceiling));
        let charge = Charge::new(&option("upto", ceiling), Some(6));
        let _ = charge.set(text.as_str());
        prop_assert!(charge.amount() <= ceiling);
        prop_assert!(charge.close() <= ceiling);
    }
}
