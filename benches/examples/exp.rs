//! x
use axum::body::Body;
use http::{Request, Response};
use std::{pin::Pin, task::{Context, Poll}, sync::Arc, future::Future};
use tower::Service;
use x402_benches::*;
#[derive(Clone)]
struct Idle<S>(S);
impl<S: Service<R>, R> Service<R> for Idle<S> {
    type Response = S::Response; type Error = S::Error; type Future = S::Future;
    fn poll_ready(&mut self, c: &mut Context<'_>) -> Poll<Result<(), S::Error>> { self.0.poll_ready(c) }
    fn call(&mut self, r: R) -> S::Future { self.0.call(r) }
}
#[derive(Clone)]
struct IdleArc<S>(S, Arc<u64>);
impl<S: Service<R>, R> Service<R> for IdleArc<S> {
    type Response = S::Response; type Error = S::Error; type Future = S::Future;
    fn poll_ready(&mut self, c: &mut Context<'_>) -> Poll<Result<(), S::Error>> { self.0.poll_ready(c) }
    fn call(&mut self, r: R) -> S::Future { self.0.call(r) }
}
#[derive(Clone)]
struct Wrap<S>(S, Arc<u64>);
pin_project_lite::pin_project! { #[project = WFP] enum WF<F> { A { #[pin] f: F }, B { b: Box<u64> } } }
enum WB { A(Body), #[allow(dead_code)] B(Box<Body>) }
impl http_body::Body for WB {
    type Data = bytes::Bytes; type Error = axum::Error;
    #[inline]
    fn poll_frame(self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, axum::Error>>> {
        match self.get_mut() { WB::A(b) => Pin::new(b).poll_frame(c), WB::B(b) => Pin::new(&mut **b).poll_frame(c) }
    }
}
impl<F: Future<Output = Result<Response<Body>, E>>, E> Future for WF<F> {
    type Output = Result<Response<WB>, E>;
    #[inline]
    fn poll(self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() { WFP::A { f } => match f.poll(c) { Poll::Pending => Poll::Pending, Poll::Ready(Err(e)) => Poll::Ready(Err(e)), Poll::Ready(Ok(r)) => Poll::Ready(Ok(r.map(WB::A))) }, WFP::B { .. } => Poll::Pending }
    }
}
impl<S: Service<Request<Body>, Response = Response<Body>>> Service<Request<Body>> for Wrap<S> {
    type Response = Response<WB>; type Error = S::Error; type Future = WF<S::Future>;
    fn poll_ready(&mut self, c: &mut Context<'_>) -> Poll<Result<(), S::Error>> { self.0.poll_ready(c) }
    #[inline]
    fn call(&mut self, r: Request<Body>) -> Self::Future { WF::A { f: self.0.call(r) } }
}
#[derive(Clone)]
struct Wrap2<S>(S, Arc<u64>);
pin_project_lite::pin_project! { #[project = WFP2] enum WF2<F> { A { #[pin] f: F }, B { b: Box<u64> } } }
impl<F: Future> Future for WF2<F> {
    type Output = F::Output;
    #[inline]
    fn poll(self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() { WFP2::A { f } => f.poll(c), WFP2::B { .. } => Poll::Pending }
    }
}
impl<S: Service<Request<Body>, Response = Response<Body>>> Service<Request<Body>> for Wrap2<S> {
    type Response = Response<Body>; type Error = S::Error; type Future = WF2<S::Future>;
    fn poll_ready(&mut self, c: &mut Context<'_>) -> Poll<Result<(), S::Error>> { self.0.poll_ready(c) }
    #[inline]
    fn call(&mut self, r: Request<Body>) -> Self::Future { WF2::A { f: self.0.call(r) } }
}
fn main() {
    let engine = in_memory(prices());
    let apps = Apps::new(engine.clone());
    let bare = apps.bare.clone();
    let idle = Idle(bare.clone());
    let arc = IdleArc(bare.clone(), Arc::new(1));
    let w = Wrap(bare.clone(), Arc::new(1)); let w2 = Wrap2(bare.clone(), Arc::new(1));
    for _ in 0..2 {
    let r = Race::new()
        .runner("request", || request(FREE, None))
        .runner("bare", || ready(send(&bare, request(FREE, None))))
        .runner("idle", || ready(send(&idle, request(FREE, None))))
        .runner("idle arc", || ready(send(&arc, request(FREE, None))))
        .runner("future", || ready(send(&w2, request(FREE, None))))
        .runner("future body", || ready(send(&w, request(FREE, None))))
        .runner("paywall", || ready(send(&apps.wrapped, request(FREE, None))))
        .runner("bare p", || ready(send(&bare, request(PRICED, None))))
        .runner("unpaid", || ready(send(&apps.wrapped, request(PRICED, None))))
        .runner("triage", || engine.triage(&Head::unpaid()))
        .run(1500);
    println!("{}", r.table("bare"));
    }
}
