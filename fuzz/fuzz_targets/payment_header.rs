//! Whatever stands in a payment header, a priced path is never free, nothing panics, and what is delivered was paid for.
#![no_main]

use std::cell::LazyCell;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use x402_core::wire::{
    decode_payment,
    header::{MAX_PAYMENT_HEADER, encode},
};
use x402_fuzz::{Head, Paywall};

thread_local! {
    static PAYWALL: LazyCell<Paywall> = LazyCell::new(Paywall::new);
}

// The first byte tells where the payment stands, and whether the rest is the header or the JSON in it.
fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let text = if mode & 8 == 0 { rest.to_vec() } else { BASE64_STANDARD.encode(rest).into_bytes() };
    let (once, twice) = (&[&text[..]][..], &[&text[..], &text[..]][..]);
    let head = match mode & 7 {
        0..=2 => Head { v2: once, v1: &[] },
        3 | 4 => Head { v2: &[], v1: once },
        5 => Head { v2: once, v1: once },
        6 => Head { v2: twice, v1: &[] },
        _ => Head { v2: &[], v1: twice },
    };
    if let Ok(presented) = decode_payment(&text) {
        assert!(text.len() <= MAX_PAYMENT_HEADER);
        let json: Value = serde_json::from_str(presented.json.get()).expect("what was decoded is JSON");
        assert!(json.is_object());
        if let Ok(again) = decode_payment(&encode(&json)) {
            assert_eq!(again.payment.scheme_payload(), presented.payment.scheme_payload());
        }
    }
    PAYWALL.with(|paywall| paywall.request(&head));
});
