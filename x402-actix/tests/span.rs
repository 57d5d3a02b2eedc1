//! Handlers run in the span of their payment. Alone in its program: other threads would decide, before the log is there,
//! that nobody listens.

use std::{
    future::{Ready, ready},
    io,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, Error, FromRequest, HttpRequest,
    dev::Payload,
    test::{TestRequest, call_service, init_service},
    web,
};
use x402_actix::{
    Engine, Paid, PaidContext, Paywall, PriceRule, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

/// What was written down, line by line, each with the spans around it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn line(&self, text: &str) -> String {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let line = log.lines().rfind(|line| line.ends_with(text));
        line.unwrap_or_else(|| panic!("{text} is not in {log}")).to_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
async fn a_handler_writes_in_the_span_of_its_payment() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("POST /late", PriceRule::new("$0.01").after_input())
        .charge("POST /early", "$0.01")
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(FakeFacilitator::new()).build().unwrap();
    let late = async |paid: Paid<Looked>| {
        tracing::info!("handled for {}", paid.payment.payer);
        ""
    };
    let early = async |paid: PaidContext| {
        tracing::info!("handled for {}", paid.payer);
        ""
    };
    let app = App::new()
        .wrap(Paywall::from(engine))
        .route("/late", web::post().to(late))
        .route("/early", web::post().to(early));
    let app = init_service(app).await;

    for path in ["/late", "/early"] {
        let unpaid = call_service(&app, TestRequest::post().uri(path).to_request()).await;
        let terms = unpaid.headers().get("payment-required").unwrap();
        let payment = TestPayer::new(path).pay_v2(terms.as_bytes());
        let paid = TestRequest::post().uri(path).insert_header(("payment-signature", &payment[..]));
        assert_eq!(call_service(&app, paid.to_request()).await.status(), 200);
        let line = log.line(&format!("handled for {}", TestPayer::new(path).address()));
        for field in ["x402.payment{", "network=eip155:84532", "amount=10000", "payer=", "order="] {
            assert!(line.contains(field), "{field} is not in {line}");
        }
        assert_eq!(line.matches("x402.payment").count(), 1, "{line}");
        assert!(line.contains(&format!("route=POST {path}")), "{line}");
    }
    // The same handler before it is paid, and for those who do not pay.
    let line = log.line("looked");
    assert!(line.contains("x402.payment{route=POST /late}"), "{line}");
}

/// Writes down that it was extracted.
struct Looked;

impl FromRequest for Looked {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        tracing::info!("looked");
        ready(Ok(Self))
    }
}
