//! What costs a recovery of a signer, and what does not.

use x402_benches::{CHECKED, Checks};

#[test]
fn only_a_payment_that_answers_the_terms_costs_a_recovery() {
    let checks = Checks::new();
    for (name, reply, recoveries) in checks.answers() {
        assert_eq!(recoveries, usize::from(name == CHECKED), "{name}");
        assert!(matches!(reply.status, 400 | 402), "{name}: {}", reply.status);
    }
}
