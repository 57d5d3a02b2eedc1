use std::ffi::OsString;

use proptest::prelude::*;

use super::{exchange::Answer, *};
use crate::wire::facilitator::SupportedResponse;

fn options(networks: &[&str]) -> Vec<PriceOption> {
    let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let option = |id: &&str| PriceOption::new(id.parse().unwrap(), asset, 1000, asset);
    networks.iter().map(option).collect()
}

#[test]
fn the_public_facilitator_is_known_to_serve_test_networks_only() {
    for url in [PUBLIC_TEST_FACILITATOR, "https://x402.org/facilitator/", "https://www.x402.org/facilitator"]
    {
        let public = HttpFacilitator::new(url).unwrap();
        public.serves_by_name(&options(&TEST_NETWORKS)).unwrap();
        let error = public.serves_by_name(&options(&["eip155:84532", "eip155:8453"])).unwrap_err();
        assert_eq!(error.at(), "facilitator");
        assert!(error.to_string().contains("not eip155:8453; set X402_FACILITATOR_URL"), "{error}");
    }
    let own = HttpFacilitator::new("https://pay.example/x402.org").unwrap();
    own.serves_by_name(&options(&["eip155:8453"])).unwrap();
}

#[test]
fn the_environment_names_a_facilitator_or_the_public_one_is_taken() {
    let origin = |variable| HttpFacilitator::from_variable(variable).map(|found| found.origin().to_owned());
    assert_eq!(origin(Err(env::VarError::NotPresent)).unwrap(), "https://x402.org");
    assert_eq!(origin(Ok("http://127.0.0.1:4021/x".to_owned())).unwrap(), "http://127.0.0.1:4021");
    for wrong in [
        Ok(String::new()),
        Ok("  ".to_owned()),
        Ok("facilitator".to_owned()),
        Err(env::VarError::NotUnicode(OsString::from("hunter2"))),
    ] {
        let error = origin(wrong).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

proptest! {
    #[test]
    fn an_address_that_is_taken_is_encrypted_or_of_this_machine(
        text in r"(https?|ftp)://([a-z0-9.:\[\]@%-]{1,24})(/[a-z/?#.]{0,12})?",
    ) {
        if let Ok(address) = Address::parse(&text) {
            let url = address.endpoint("verify");
            let host = url.host_str().unwrap();
            let loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
            prop_assert!(url.scheme() == "https" || loopback, "{}", text);
            prop_assert!(url.path().ends_with("/verify") && !url.path().ends_with("//verify"), "{}", text);
            prop_assert!(url.query().is_none() && url.username().is_empty(), "{}", text);
        }
    }

    #[test]
    fn reasons_stay_short_and_plain(code in ".{0,400}") {
        let reason = reason::reason(Some(&code), "unknown");
        prop_assert!(reason.chars().count() <= 256 && !reason.is_empty());
        prop_assert!(!reason.chars().any(char::is_control));
    }

    #[test]
    fn no_bytes_but_an_object_are_a_result(status in 100..600_u16, body in any::<Vec<u8>>()) {
        let answer = Answer::new(status, body.clone());
        let result = answer.result::<SupportedResponse>();
        let is_object = body.trim_ascii_start().first() == Some(&0x7b);
        prop_assert!(result.is_err() || is_object);
    }
}
