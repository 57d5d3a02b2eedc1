//! Charging what was used: a ceiling is authorized, the handler says how much of it, and that moves.

use serde_json::Value;
use x402_tests::{
    Answer, Challenge, Connection, Framework, GAS, Payer, Payment, Request, ScriptedFacilitator, Server,
    Shop, eventually, persist,
};

through_every_adapter!(
    what_was_used_is_charged_and_told,
    nothing_is_charged_for_nothing_and_the_payment_is_spent,
    more_than_was_authorized_is_the_handlers_mistake,
    a_lost_answer_is_settled_again_with_the_same_charge,
    a_stream_is_charged_when_it_ends,
    a_stream_that_loses_its_client_is_charged_for_what_was_sent,
    a_lost_response_that_cannot_be_recognised_is_not_run_again,
    a_missing_allowance_is_a_failed_precondition,
);

struct Metered {
    facilitator: ScriptedFacilitator,
    server: Server,
    payer: Payer,
}

impl Metered {
    fn open(framework: Framework) -> Self {
        let facilitator = ScriptedFacilitator::start();
        let environment =
            Shop::environment().set("FACILITATOR_URL", facilitator.url()).set("UPTO_SETTLER", GAS.address);
        Self {
            server: Server::start(framework, environment),
            payer: Payer::of(x402_tests::PAYER),
            facilitator,
        }
    }

    fn payment_for(&self, request: &Request) -> Payment {
        let challenge = Challenge::of(&self.server.send(request));
        assert_eq!(challenge.terms()["amount"], "5000", "the ceiling");
        assert_eq!(
            challenge.v1["accepts"].as_array().map_or(0, Vec::len),
            usize::from(challenge.v1["x402Version"] == 2)
        );
        self.payer.unsigned_upto(&challenge)
    }

    fn paid(&self, request: Request) -> Request {
        let payment = self.payment_for(&request);
        request.paying(&payment)
    }

    fn runs(&self, route: &str) -> u64 {
        self.server.runs(route)
    }
}

fn what_was_used_is_charged_and_told(framework: Framework) {
    let metered = Metered::open(framework);
    let cases =
        [("/used?use=1234", 1234), ("/used", 5000), ("/used?use=$0.003", 3000), ("/used?use=10%", 500)];
    for (path, charged) in cases {
        let response = metered.server.send(&metered.paid(Request::get(path)));
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.text(), format!("charged: {charged}\n"));
        let receipt = response.receipt();
        assert_eq!(
            (&receipt["success"], &receipt["amount"]),
            (&Value::from(true), &charged.to_string().into())
        );
        assert_eq!(metered.facilitator.amounts().last(), Some(&charged));
    }
    assert_eq!(metered.facilitator.settle_calls(), 4);
}

fn nothing_is_charged_for_nothing_and_the_payment_is_spent(framework: Framework) {
    let metered = Metered::open(framework);
    let request = metered.paid(Request::get("/used?use=0"));
    for replayed in [false, true] {
        let response = metered.server.send(&request);
        assert_eq!((response.status, response.text().as_str()), (200, "charged: 0\n"));
        let receipt = response.receipt();
        assert_eq!((&receipt["amount"], &receipt["transaction"]), (&"0".into(), &"".into()));
        assert_eq!(response.header("idempotent-replayed").is_some(), replayed);
    }
    assert_eq!((metered.facilitator.settle_calls(), metered.runs("GET /used")), (0, 1));
}

fn more_than_was_authorized_is_the_handlers_mistake(framework: Framework) {
    let metered = Metered::open(framework);
    let response = metered.server.send(&metered.paid(Request::get("/used?use=5001")));
    assert_eq!(response.status, 500);
    assert!(response.text().contains("above what was authorized, 5000"), "{}", response.text());
    assert_eq!(metered.facilitator.settle_calls(), 0);
}

fn a_lost_answer_is_settled_again_with_the_same_charge(framework: Framework) {
    let metered = Metered::open(framework);
    let request = metered.paid(Request::get("/used?use=700"));
    metered.facilitator.on_settle(Answer::HangUp, true);
    let lost = metered.server.send(&request);
    assert_eq!((lost.status, lost.header("payment-required")), (503, None));
    let response = persist(&metered.server, &request);
    assert_eq!((response.status, &response.receipt()["amount"]), (200, &"700".into()));
    assert_eq!((metered.facilitator.amounts(), metered.runs("GET /used")), (vec![700], 1));
}

fn a_stream_is_charged_when_it_ends(framework: Framework) {
    let metered = Metered::open(framework);
    for (path, charged) in [("/used/stream?each=10", 640), ("/used/stream", 5000)] {
        let before = metered.facilitator.amounts().len();
        let request = metered.paid(Request::get(path));
        let mut connection = Connection::open(metered.server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        let head = connection.response_head().unwrap();
        assert_eq!((head.status, head.header("payment-response")), (200, None), "not settled yet");
        assert_eq!(head.header("cache-control"), Some("private, no-store"));
        let mut body = Vec::new();
        assert!(connection.chunk(&mut body).unwrap());
        assert_eq!(metered.facilitator.amounts().len(), before);
        while connection.chunk(&mut body).unwrap() {}
        eventually("it is settled", || metered.facilitator.amounts().len() > before);
        assert_eq!(metered.facilitator.amounts().last(), Some(&charged));
        eventually("it is recorded", || {
            let again = metered.server.send(&request);
            again.status == 409 && again.header("payment-response").is_some()
        });
        let again = metered.server.send(&request);
        assert_eq!(
            (again.code().as_str(), &again.receipt()["amount"]),
            ("payment_replayed", &charged.to_string().into())
        );
    }
}

fn a_stream_that_loses_its_client_is_charged_for_what_was_sent(framework: Framework) {
    let metered = Metered::open(framework);
    for (path, each) in [("/used/stream?each=10", 10), ("/used/stream", 0)] {
        let before = metered.facilitator.amounts().len();
        let request = metered.paid(Request::get(path));
        let mut connection = Connection::open(metered.server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        assert_eq!(connection.response_head().unwrap().status, 200);
        let mut part = Vec::new();
        for _ in 0..3 {
            assert!(connection.chunk(&mut part).unwrap());
        }
        drop(connection);
        eventually("it is settled", || {
            let again = metered.server.send(&request);
            again.status == 409 && again.header("payment-response").is_some()
        });
        let charged = metered.facilitator.amounts();
        if each == 0 {
            assert_eq!(charged.len(), before, "nothing was said, and it did not end");
        } else {
            let charged = *charged.last().unwrap();
            assert!((3 * each..64 * each).contains(&charged), "{charged}");
        }
        // Whoever cuts a stream short does not get the rest of it for what was charged until then.
        let again = metered.server.send(&request);
        assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"));
    }
    assert_eq!(metered.runs("GET /used/stream"), 2);
}

fn a_lost_response_that_cannot_be_recognised_is_not_run_again(framework: Framework) {
    let metered = Metered::open(framework);
    let small = metered.paid(Request::post("/used/echo?use=1", "a small job"));
    metered.facilitator.on_settle(Answer::Held, true);
    let mut connection = Connection::open(metered.server.address()).unwrap();
    connection.write(&small.bytes()).unwrap();
    eventually("it is being settled", || metered.facilitator.settle_calls() == 1);
    drop(connection);
    metered.facilitator.let_go();
    // As long, so it could be taken for the same request.
    eventually("it is settled", || metered.server.send(&small).header("payment-response").is_some());
    let again = metered.server.send(&small);
    assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"));
    assert_eq!((metered.facilitator.amounts(), metered.runs("POST /used/echo")), (vec![1], 1));
}

fn a_missing_allowance_is_a_failed_precondition(framework: Framework) {
    let metered = Metered::open(framework);
    let request = metered.paid(Request::get("/used?use=5"));
    let missing = serde_json::json!({ "isValid": false, "invalidReason": "permit2_allowance_required" });
    metered.facilitator.on_verify(Answer::Json(200, missing));
    let refused = metered.server.send(&request);
    assert_eq!((refused.status, refused.header("cache-control")), (412, Some("no-store")));
    let challenge = refused.decoded("payment-required").unwrap();
    assert_eq!(
        (&challenge["error"], &challenge["accepts"][0]["amount"]),
        (&"permit2_allowance_required".into(), &"5000".into())
    );
    // Approved meanwhile, the same payment is good.
    assert_eq!(metered.server.send(&request).status, 200);
    let other = metered.paid(Request::get("/used?use=5"));
    let poor = serde_json::json!({ "isValid": false, "invalidReason": "permit2_insufficient_balance" });
    metered.facilitator.on_verify(Answer::Json(200, poor));
    let refused = metered.server.send(&other);
    assert_eq!(refused.status, 402);
    assert_eq!(refused.decoded("payment-required").unwrap()["error"], "permit2_insufficient_balance");
}
