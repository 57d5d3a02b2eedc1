//! Whatever stands in a payment header.

use bytes::Bytes;
use proptest::prelude::*;

use crate::support::{Request, World};

/// A good payment, some of its bytes replaced; or anything.
fn header() -> impl Strategy<Value = Header> {
    prop_oneof![
        3 => prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3).prop_map(Header::Altered),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Header::Any),
    ]
}

#[derive(Clone, Debug)]
enum Header {
    Altered(Vec<(prop::sample::Index, u8)>),
    Any(Vec<u8>),
}

impl Header {
    fn bytes(&self, good: &Bytes) -> Bytes {
        let changes = match self {
            Self::Any(bytes) => return bytes.clone().into(),
            Self::Altered(changes) => changes,
        };
        let mut bytes = good.to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = *byte;
        }
        bytes.into()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_priced_path_is_never_free_and_what_is_delivered_was_paid_for(
        name in prop::sample::select(vec!["payment-signature", "x-payment"]),
        headers in prop::collection::vec(header(), 1..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut request = Request::get("/weather/oslo");
            let good = world.pay(&request).await;
            request.headers.extend(headers.iter().map(|header| (name, header.bytes(&good))));
            let answer = world.send(&request).await;
            prop_assert!(matches!(answer.status, 200 | 400 | 402), "{:?}", answer);
            prop_assert_eq!(world.handler_runs(), usize::from(answer.status == 200));
            prop_assert_eq!(world.facilitator.transfers().len(), world.handler_runs());
            Ok(())
        })?;
    }
}
