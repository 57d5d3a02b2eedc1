use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The output of a future that never waits, without a runtime's cost.
///
/// # Panics
/// When the future waits after all.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future waits; run it in a runtime"),
    }
}
