//! `Paid<E>`, and a demand taken by hand, over real sockets.

use x402_tests::{Framework, Request};

use crate::stall::{EVERY, Stall};

#[test]
fn bad_input_is_refused_before_money_is_asked_for() {
    for framework in EVERY {
        let stall = Stall::open(framework);
        let (good, bad) = (Request::post("/orders", "two eggs"), Request::post("/orders", b"\xff\xfe"));
        let payment = stall.payment(&good);
        let paying = |request: &Request| request.clone().header("payment-signature", payment.clone());
        for request in [&bad, &paying(&bad)] {
            let refused = request.send(stall.address).unwrap();
            assert_eq!(refused.status, 400, "{framework}: {}", refused.text());
            assert_eq!(refused.header("payment-required"), None);
        }
        assert_eq!((stall.facilitator.verify_calls(), stall.transfers()), (0, 0), "{framework}");

        let sold = paying(&good).send(stall.address).unwrap();
        assert_eq!((sold.status, sold.text().as_str()), (200, "ordered: two eggs"), "{framework}");
        assert_eq!(sold.receipt()["success"], true);
        assert_eq!(stall.transfers(), 1, "{framework}");
    }
}

#[test]
fn a_client_that_leaves_before_its_money_has_moved_is_owed() {
    use x402_core::testing::SettleAnswer;
    use x402_tests::eventually;

    for framework in EVERY {
        let stall = Stall::open(framework);
        let request = stall.paying(&Request::post("/orders", "two eggs"));
        stall.facilitator.next_settle(SettleAnswer::Hang);
        let mut connection = stall.begin(&request);
        eventually("the money is about to move", || stall.facilitator.settle_calls() == 1);
        if framework != Framework::Actix {
            connection.end().unwrap();
            assert!(connection.response(false).is_err(), "{framework}: it has seen that nobody waits");
        }
        drop(connection);
        stall.facilitator.release();
        eventually("it has moved", || stall.transfers() == 1);
        let mut answer = request.send(stall.address).unwrap();
        while answer.status == 409 && answer.header("retry-after").is_some() {
            answer = request.send(stall.address).unwrap();
        }
        // actix finds out when it writes: then the response was handed to a connection that was still there.
        if framework == Framework::Actix && answer.status == 409 {
            assert_eq!(answer.receipt()["success"], true);
        } else {
            assert_eq!((answer.status, answer.text().as_str()), (200, "ordered: two eggs"), "{framework}");
        }
        assert_eq!(stall.transfers(), 1, "{framework}");
    }
}
