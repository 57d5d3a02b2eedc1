//! Which log of a token paid which authorization.
//!
//! EIP-3009 emits `AuthorizationUsed` and then `Transfer`. In a transaction with several authorizations each
//! transfer belongs to the `AuthorizationUsed` before it, so that no log pays twice; or to the one after it, where all of them
//! have theirs before them. The transfer that a Permit2 proxy
//! made is the last one before the proxy's own event, and belongs to no `AuthorizationUsed`.

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::Log;
use x402_core::scheme::{EXACT_PERMIT2_PROXY, Eip3009, EvmAddress, UPTO_PERMIT2_PROXY};

use crate::{rpc::at, typed_data::constant};

/// Topics of the events that a used or cancelled authorization leaves.
pub(crate) const USED: B256 = B256::new([
    0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59, 0xb5, 0x75, 0xef, 0x0c, 0x0a, 0x25, 0x76, 0xa8, 0x24, 0x97,
    0xbf, 0xc0, 0x29, 0xa5, 0x68, 0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10, 0xa5,
]);
pub(crate) const CANCELED: B256 = B256::new([
    0x1c, 0xdd, 0x46, 0xff, 0x24, 0x27, 0x16, 0xcd, 0xaa, 0x72, 0xd1, 0x59, 0xd3, 0x39, 0xa4, 0x85, 0xb3,
    0x43, 0x83, 0x98, 0x34, 0x8d, 0x68, 0xf0, 0x9d, 0x7c, 0x8c, 0x0a, 0x59, 0x35, 0x3d, 0x81,
]);
/// Topics of the events that close a settlement by a Permit2 proxy.
pub(crate) const SETTLED: B256 =
    B256::new(constant(b"97088ec3606cfe8cc112180570d03fcde05f9b8e1bfef8e27784eaf5dd5691b6"));
pub(crate) const SETTLED_WITH_PERMIT: B256 =
    B256::new(constant(b"de5b89d10fc800c459329c382fabfcad0be0ed7e5328e01fae04e507b09ef5d8"));
pub(crate) const TRANSFER: B256 = B256::new([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95,
    0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);

/// The log, of those of one successful transaction, that shows that `message` moved its value to its recipient.
pub(crate) fn paid<'a>(logs: &'a [Log], token: EvmAddress, message: &Eip3009) -> Option<&'a Log> {
    let by_proxies = settlements(logs, |address| PROXIES.map(at).contains(&address));
    let taken: Vec<&Log> = by_proxies.into_iter().filter_map(last_transfer).collect();
    let events: Vec<(Event, &Log)> = logs
        .iter()
        .filter(|log| log.address() == at(token) && !log.removed)
        .filter(|log| !taken.iter().any(|taken| std::ptr::eq(*taken, *log)))
        .filter_map(|log| Some((Event::read(log)?, log)))
        .collect();
    let used = Event::Used { authorizer: address(message.from), nonce: B256::from(message.nonce) };
    let transfer =
        Event::Transfer { from: address(message.from), to: address(message.to), value: message.value };
    let is_use = |event: &Event| matches!(event, Event::Used { .. });
    let start = events.iter().position(|(event, _)| *event == used)?;
    let alone = events.iter().filter(|(event, _)| is_use(event)).count() == 1;
    let in_pairs =
        events.chunks(2).all(|pair| matches!(pair, [first, last] if !is_use(&first.0) && is_use(&last.0)));
    // Tokens that emit the transfer first can be told where there is no other authorization, or nothing but such pairs.
    let from = match (alone, in_pairs) {
        (true, _) => 0,
        (false, true) => start - 1,
        (false, false) => start + 1,
    };
    let its = events[from..].iter().take_while(|(event, _)| alone || !is_use(event));
    its.clone().find(|(event, _)| *event == transfer).map(|(_, log)| *log)
}

/// Whether one of the logs shows that `message`, or another with its nonce, was used.
pub(crate) fn used(logs: &[Log], token: EvmAddress, message: &Eip3009) -> bool {
    let used = Event::Used { authorizer: address(message.from), nonce: B256::from(message.nonce) };
    logs.iter().any(|log| log.address() == at(token) && !log.removed && Event::read(log) == Some(used))
}

/// The logs of each settlement by a Permit2 proxy: those up to its event, from the event before.
pub(crate) fn settlements(logs: &[Log], is_proxy: impl Fn(Address) -> bool) -> Vec<&[Log]> {
    let is_end = |log: &Log| {
        let closes = |event: &B256| [SETTLED, SETTLED_WITH_PERMIT].contains(event);
        is_proxy(log.address()) && log.topic0().is_some_and(closes)
    };
    let parts = logs.split_inclusive(is_end);
    // What comes after the last event belongs to no settlement.
    parts.filter(|part| part.last().is_some_and(is_end)).collect()
}

/// The transfer that a settlement by a proxy made, of the logs up to its event: the last one.
pub(crate) fn last_transfer(part: &[Log]) -> Option<&Log> {
    part.iter().rev().find(|log| log.topic0() == Some(&TRANSFER))
}

/// Whether the log shows that the token moved this much from one account to another.
pub(crate) fn moves(log: &Log, token: EvmAddress, (from, to): (EvmAddress, EvmAddress), value: U256) -> bool {
    let wanted = Event::Transfer { from: address(from), to: address(to), value };
    log.address() == at(token) && !log.removed && Event::read(log) == Some(wanted)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    Used { authorizer: B256, nonce: B256 },
    Transfer { from: B256, to: B256, value: U256 },
}

impl Event {
    fn read(log: &Log) -> Option<Self> {
        let data = &log.inner.data.data;
        match *log.topics() {
            [USED, authorizer, nonce] => Some(Self::Used { authorizer, nonce }),
            [TRANSFER, from, to] if data.len() == 32 => {
                Some(Self::Transfer { from, to, value: U256::from_be_slice(data) })
            }
            _ => None,
        }
    }
}

fn address(address: EvmAddress) -> B256 {
    B256::from(crate::typed_data::word(address))
}

const PROXIES: [EvmAddress; 2] = [EXACT_PERMIT2_PROXY, UPTO_PERMIT2_PROXY];

#[cfg(test)]
mod tests {
    use alloy_primitives::LogData;

    use super::*;
    use crate::typed_data::keccak;

    const TOKEN: EvmAddress = EvmAddress::new([1; 20]);
    const PAYER: u8 = 2;
    const PAYEE: u8 = 3;

    fn message(nonce: u8) -> Eip3009 {
        Eip3009 {
            from: EvmAddress::new([PAYER; 20]),
            to: EvmAddress::new([PAYEE; 20]),
            value: U256::from(1000),
            valid_after: U256::ZERO,
            valid_before: U256::MAX,
            nonce: [nonce; 32],
            signature: Vec::new(),
        }
    }

    fn log(token: EvmAddress, topics: Vec<B256>, data: Vec<u8>) -> Log {
        let data = LogData::new_unchecked(topics, data.into());
        Log { inner: alloy_primitives::Log { address: at(token), data }, ..Log::default() }
    }

    fn used(payer: u8, nonce: u8) -> Log {
        let payer = address(EvmAddress::new([payer; 20]));
        log(TOKEN, vec![USED, payer, B256::repeat_byte(nonce)], Vec::new())
    }

    fn moved_in(token: EvmAddress, from: u8, to: u8, value: u64) -> Log {
        let [from, to] = [from, to].map(|byte| address(EvmAddress::new([byte; 20])));
        log(token, vec![TRANSFER, from, to], U256::from(value).to_be_bytes::<32>().to_vec())
    }

    fn moved(from: u8, to: u8, value: u64) -> Log {
        moved_in(TOKEN, from, to, value)
    }

    #[test]
    fn topics_are_those_of_their_signatures() {
        for (topic, text) in [
            (USED, "AuthorizationUsed(address,bytes32)"),
            (CANCELED, "AuthorizationCanceled(address,bytes32)"),
            (TRANSFER, "Transfer(address,address,uint256)"),
            (SETTLED, "Settled()"),
            (SETTLED_WITH_PERMIT, "SettledWithPermit()"),
        ] {
            assert_eq!(topic, B256::from(keccak(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn only_the_own_transfer_of_the_own_authorization_counts() {
        let good = || moved(PAYER, PAYEE, 1000);
        for (name, logs, expected) in [
            ("as the standard has it", vec![used(PAYER, 9), good()], true),
            ("transfer first", vec![good(), used(PAYER, 9)], true),
            ("nothing", vec![], false),
            ("nothing moved", vec![used(PAYER, 9)], false),
            ("not used", vec![good()], false),
            ("other nonce", vec![used(PAYER, 8), good()], false),
            ("other payer's use", vec![used(4, 9), good()], false),
            ("other recipient", vec![used(PAYER, 9), moved(PAYER, 4, 1000)], false),
            ("other payer", vec![used(PAYER, 9), moved(4, PAYEE, 1000)], false),
            ("too little", vec![used(PAYER, 9), moved(PAYER, PAYEE, 990)], false),
            ("too much", vec![used(PAYER, 9), moved(PAYER, PAYEE, 1001)], false),
            ("fee beside it", vec![used(PAYER, 9), moved(PAYER, 5, 10), good()], true),
            (
                "other token",
                vec![used(PAYER, 9), moved_in(EvmAddress::new([9; 20]), PAYER, PAYEE, 1000)],
                false,
            ),
        ] {
            assert_eq!(paid(&logs, TOKEN, &message(9)).is_some(), expected, "{name}");
            let is_its_use = |log: &Log| *log == used(PAYER, 9);
            assert_eq!(super::used(&logs, TOKEN, &message(9)), logs.iter().any(is_its_use), "{name}");
        }
    }

    #[test]
    fn one_transfer_never_pays_two_authorizations() {
        let one = [used(PAYER, 8), used(PAYER, 9), moved(PAYER, PAYEE, 1000)];
        assert!(paid(&one, TOKEN, &message(8)).is_none());
        assert!(paid(&one, TOKEN, &message(9)).is_some());
        let two = [used(PAYER, 8), moved(PAYER, PAYEE, 1000), used(PAYER, 9), moved(PAYER, PAYEE, 1000)];
        assert!(paid(&two, TOKEN, &message(8)).is_some() && paid(&two, TOKEN, &message(9)).is_some());
        let first = [moved(PAYER, PAYEE, 1000), used(PAYER, 8), moved(4, PAYEE, 7), used(4, 9)];
        assert!(std::ptr::eq(paid(&first, TOKEN, &message(8)).unwrap(), &raw const first[0]));
        assert!(paid(&first, TOKEN, &message(9)).is_none(), "it is another payer's");
        let alike = [moved(PAYER, PAYEE, 1000), used(PAYER, 8), moved(PAYER, PAYEE, 1000), used(PAYER, 9)];
        for (nonce, its) in [(8, 0), (9, 2)] {
            assert!(std::ptr::eq(paid(&alike, TOKEN, &message(nonce)).unwrap(), &raw const alike[its]));
        }
        let second_moved_nothing = [used(PAYER, 8), moved(PAYER, PAYEE, 1000), used(PAYER, 9)];
        assert!(paid(&second_moved_nothing, TOKEN, &message(9)).is_none());
    }

    #[test]
    fn a_transfer_by_a_proxy_pays_no_authorization_of_the_token() {
        let settled = |proxy| log(proxy, vec![SETTLED], Vec::new());
        let (ours, to_self) = (moved(PAYER, PAYEE, 1000), moved(PAYER, PAYER, 1));
        for proxy in PROXIES {
            let spent = [ours.clone(), settled(proxy), used(PAYER, 9), to_self.clone()];
            assert!(paid(&spent, TOKEN, &message(9)).is_none(), "it paid for the nonce of Permit2");
            let both = [used(PAYER, 9), ours.clone(), ours.clone(), settled(proxy)];
            assert!(std::ptr::eq(paid(&both, TOKEN, &message(9)).unwrap(), &raw const both[1]));
            let beside = [used(PAYER, 9), ours.clone(), moved(5, PAYEE, 7), settled(proxy)];
            assert!(paid(&beside, TOKEN, &message(9)).is_some(), "the last one is the proxy's");
        }
        let stranger = [ours, settled(EvmAddress::new([8; 20])), used(PAYER, 9)];
        assert!(paid(&stranger, TOKEN, &message(9)).is_some(), "an event of anybody else means nothing");
    }

    #[test]
    fn settlements_by_a_proxy_are_told_apart() {
        let proxy = PROXIES[0];
        let end = |event| log(proxy, vec![event], Vec::new());
        let (one, two) = (moved(PAYER, PAYEE, 1), moved(PAYER, PAYEE, 2));
        let is_proxy = |address| address == at(proxy);
        let logs = [one.clone(), end(SETTLED), two.clone(), end(SETTLED_WITH_PERMIT), one.clone()];
        let parts = settlements(&logs, is_proxy);
        let transfers: Vec<_> = parts.iter().map(|part| last_transfer(part)).collect();
        assert_eq!(transfers, [Some(&one), Some(&two)]);
        assert!(settlements(&logs, |_| false).is_empty() && settlements(&[], is_proxy).is_empty());
        let parties = (EvmAddress::new([PAYER; 20]), EvmAddress::new([PAYEE; 20]));
        assert!(moves(&one, TOKEN, parties, U256::ONE) && !moves(&two, TOKEN, parties, U256::ONE));
    }

    #[test]
    fn logs_of_a_dropped_block_do_not_count() {
        let mut logs = [used(PAYER, 9), moved(PAYER, PAYEE, 1000)];
        logs[1].removed = true;
        assert!(paid(&logs, TOKEN, &message(9)).is_none());
    }
}
