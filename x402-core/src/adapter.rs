//! What adapters have in common, free of any framework's types.
//!
//! An adapter shows the engine a request's head, runs the handler of the [`Ticket`](crate::Ticket) it is
//! given, and turns [`Reply`] and [`Release`](crate::Release) into its framework's responses. The few
//! decisions left are made here, so that adapters cannot drift apart.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;

use crate::{Attempt, Reply, engine::body_refused, error::BodyError};

/// Headers (lower case) that only the engine sets, or that tell shared caches to keep what `Cache-Control` forbids: taken
/// off a handler's response before it is looked at.
pub const RESERVED_HEADERS: [&str; 7] = [
    "payment-required",
    "payment-response",
    "x-payment-response",
    "idempotent-replayed",
    "cdn-cache-control",
    "surrogate-control",
    "x-accel-expires",
];

/// The handler panicked; its message went to the panic hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Panicked;

/// Awaits a handler and survives its panic.
///
/// # Errors
/// [`Panicked`] when it did; the future is not polled again.
///
/// # Cancellation
/// Dropped, it drops the handler.
pub async fn catch_panic<F: Future>(handler: F) -> Result<F::Output, Panicked> {
    let mut handler = pin!(handler);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_) => {
            tracing::error!("handler panicked");
            Poll::Ready(Err(Panicked))
        }
    })
    .await
}

/// Reads the body that an attempt [asks for](Attempt::body_limit), in time, and binds it; the handler gets what is
/// returned.
///
/// `read` gives the whole body without its trailers, or [`BodyError`] as soon as it breaks or is longer than the limit.
///
/// # Errors
/// The reply to send instead. Nothing of the payment was consumed.
///
/// # Cancellation
/// Dropped, nothing has happened to the payment.
pub async fn bind_body(
    attempt: &mut Attempt,
    read: impl Future<Output = Result<Bytes, BodyError>>,
) -> Result<Bytes, Reply> {
    let read = tokio::time::timeout(BODY_TIME, read).await.unwrap_or(Err(BodyError::TooSlow));
    let body = read.map_err(|error| {
        tracing::debug!(%error, "request body not bound");
        body_refused(error)
    })?;
    attempt.bind(&body);
    Ok(body)
}

/// 500, in place of a response that a handler did not finish.
#[must_use]
pub fn handler_failed() -> Reply {
    Reply::new(500)
        .json(Bytes::from_static(b"{\"error\":\"handler_failed\"}"))
        .header("cache-control", Bytes::from_static(b"no-store"))
}

/// 500, for a request that meets a second price while the handler of the first has yet to look at its input. Nobody is
/// asked for money.
#[must_use]
pub fn priced_twice(path: &str) -> Reply {
    tracing::error!(
        path,
        "a route is priced twice, and the outer price is due after its input; keep one price"
    );
    handler_failed()
}

/// Whether a response with this status, to a request with this method, is sent without its body.
#[must_use]
pub fn is_bodiless(method: &str, status: u16) -> bool {
    method == "HEAD" || status < 200 || status == 204 || status == 304
}

/// The `Vary` value to add to those a handler set, if something is missing.
pub fn missing_vary<'a>(set: impl Iterator<Item = &'a [u8]>, wanted: &Bytes) -> Option<Bytes> {
    let set: Vec<&[u8]> =
        set.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    if set.contains(&b"*".as_slice()) {
        return None;
    }
    let is_set = |name: &[u8]| set.iter().any(|other| other.eq_ignore_ascii_case(name));
    let names = || wanted.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if !names().any(is_set) {
        return Some(wanted.clone());
    }
    let missing: Vec<&[u8]> = names().filter(|name| !is_set(name)).collect();
    (!missing.is_empty()).then(|| missing.join(b", ".as_slice()).into())
}

/// How long a client may take to send a body that is bound to its payment.
pub const BODY_TIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_is_completed_not_repeated() {
        let wanted = Bytes::from_static(b"PAYMENT-SIGNATURE, X-PAYMENT");
        let cases: [(&[&str], Option<&str>); 6] = [
            (&[], Some("PAYMENT-SIGNATURE, X-PAYMENT")),
            (&["accept, origin"], Some("PAYMENT-SIGNATURE, X-PAYMENT")),
            (&["accept", "x-payment ,origin"], Some("PAYMENT-SIGNATURE")),
            (&["payment-signature", "x-payment"], None),
            (&["PAYMENT-SIGNATURE, X-PAYMENT"], None),
            (&["accept", "*"], None),
        ];
        for (set, added) in cases {
            let set = set.iter().map(|value| value.as_bytes());
            assert_eq!(missing_vary(set, &wanted).as_deref(), added.map(str::as_bytes));
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(catch_panic(async { 7 }).await, Ok(7));
        let panics = async { panic!("on purpose") };
        assert_eq!(catch_panic::<_>(panics).await, Err::<(), _>(Panicked));
    }
}
