//! What happens when clients leave, and across workers.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use actix_web::{
    App, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::Service,
    test::init_service,
    web,
};
use bytes::Bytes;
use x402_actix::core::testing::{FakeFacilitator, SettleAnswer, TestPayer};

use crate::support::{paying, payment, paywall, send, settle_down};

/// Chunks, by default of unknown length.
struct Chunks(Vec<&'static str>, BodySize);

impl MessageBody for Chunks {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.1
    }

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let chunk = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(chunk.map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))))
    }
}

async fn stream() -> HttpResponse {
    HttpResponse::Ok().body(BoxBody::new(Chunks(vec!["one ", "two"], BodySize::Stream)))
}

#[actix_web::test]
async fn a_client_that_leaves_its_handler_is_not_charged() {
    let facilitator = FakeFacilitator::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handler = move || {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let not_send = Rc::new("at last");
            if run == 0 {
                pending::<()>().await;
            }
            not_send.to_string()
        }
    };
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(handler))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    let mut call = Box::pin(app.call(paying("/paid", &header).to_request()));
    while runs.load(Ordering::Relaxed) == 0 {
        assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    settle_down().await;
    assert_eq!(facilitator.settle_calls(), 0);
    assert_eq!(send(&app, paying("/paid", &header)).await.body, "at last");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn a_response_lost_on_the_way_is_delivered_again_without_a_charge() {
    let facilitator = FakeFacilitator::new();
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(stream))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    let response = app.call(paying("/paid", &header).to_request()).await.unwrap();
    {
        let mut body = pin!(response.into_body());
        assert!(poll_fn(|context| body.as_mut().poll_next(context)).await.unwrap().is_ok());
    }
    settle_down().await;
    assert_eq!(send(&app, paying("/paid", &header)).await.body, "one two");
    settle_down().await;
    assert_eq!(send(&app, paying("/paid", &header)).await.status, 409);
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn a_stream_is_held_until_it_is_paid_for() {
    let facilitator = FakeFacilitator::new();
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(stream))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    facilitator.next_settle(SettleAnswer::Hang);
    let mut call = pin!(send(&app, paying("/paid", &header)));
    tokio::select! {
        _ = &mut call => panic!("answered before it was settled"),
        () = facilitator.hanging(1) => {}
    }
    facilitator.release();
    let answer = call.await;
    assert!(answer.has("payment-response"));
    assert_eq!(answer.body, "one two");
}

#[actix_web::test]
async fn a_long_body_that_ends_short_of_its_length_counts_as_lost() {
    let facilitator = FakeFacilitator::new();
    let handler =
        async || HttpResponse::Ok().body(BoxBody::new(Chunks(vec!["short"], BodySize::Sized(4 << 20))));
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(handler))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    for _ in 0..2 {
        assert_eq!(send(&app, paying("/paid", &header)).await.body, "short");
        settle_down().await;
    }
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn an_upgrade_is_not_kept_for_a_retry() {
    let facilitator = FakeFacilitator::new();
    let handler = async || HttpResponse::SwitchingProtocols().upgrade("websocket").finish();
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(handler))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    for status in [101, 409] {
        assert_eq!(send(&app, paying("/paid", &header)).await.status, status);
        settle_down().await;
    }
}

#[actix_web::test]
async fn empty_answers_count_as_delivered() {
    let facilitator = FakeFacilitator::new();
    let handler = async || HttpResponse::NoContent().finish();
    let app =
        init_service(App::new().wrap(paywall(&facilitator)).route("/paid", web::get().to(handler))).await;
    let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
    drop(app.call(paying("/paid", &header).to_request()).await.unwrap());
    settle_down().await;
    let again = send(&app, paying("/paid", &header)).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
}

#[test]
fn workers_share_one_engine() {
    let facilitator = FakeFacilitator::new();
    let wall = paywall(&facilitator);
    let runs = Arc::new(AtomicUsize::new(0));
    let ask = |wall: x402_actix::Paywall, runs: Arc<AtomicUsize>| async move {
        let handler = move || {
            runs.fetch_add(1, Ordering::Relaxed);
            async { "once" }
        };
        init_service(App::new().wrap(wall).route("/paid", web::get().to(handler))).await
    };
    let header = actix_web::rt::System::new().block_on(async {
        let app = ask(wall.clone(), Arc::clone(&runs)).await;
        payment(&app, "/paid", &TestPayer::new("alice")).await
    });
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (wall, runs, header) = (wall.clone(), Arc::clone(&runs), header.clone());
            std::thread::spawn(move || {
                actix_web::rt::System::new().block_on(async {
                    let app = ask(wall, runs).await;
                    let status = send(&app, paying("/paid", &header)).await.status;
                    settle_down().await;
                    status
                })
            })
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.join().unwrap(), 200);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(facilitator.transfers().len(), 1);
}
