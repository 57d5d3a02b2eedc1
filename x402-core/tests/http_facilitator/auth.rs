//! Credentials for each call.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use x402_core::{
    error::BoxError,
    facilitator::{
        AuthHeaders, Authenticate, BoxFuture, BreakerLimits, Facilitator, FacilitatorCall,
        FacilitatorEndpoint::{self, Settle, Supported, Verify},
        HttpFacilitator, SettleError, VerifyError,
    },
};

use super::{
    fixture::{TRANSACTION, failed, good, settled},
    logs::Log,
    server::{Act, Server},
};

fn valid() -> Act {
    Act::Json(200, json!({ "isValid": true }))
}

/// Gives out `secret-1`, `secret-2` and so on, and keeps what it was asked.
#[derive(Clone, Default)]
struct Tokens {
    calls: Arc<Mutex<Vec<FacilitatorCall>>>,
    given: Arc<AtomicUsize>,
}

impl Authenticate for Tokens {
    fn headers(&self, call: FacilitatorCall) -> BoxFuture<'_, Result<AuthHeaders, BoxError>> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(call);
            let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(AuthHeaders::bearer(&format!("secret-{number}")).header("x-client", "x402"))
        })
    }
}

#[tokio::test]
async fn each_call_has_credentials_of_its_own() {
    let pending = Act::Json(200, failed("settlement_pending", TRANSACTION));
    let kinds = Act::Json(200, json!({ "kinds": [] }));
    let server = Server::start([valid(), pending, Act::Json(200, settled()), kinds]).await;
    let tokens = Tokens::default();
    let facilitator =
        HttpFacilitator::new(&format!("{}/x402/", server.url())).unwrap().authenticate(tokens.clone());
    facilitator.verify(&good()).await.unwrap();
    facilitator.settle(&good()).await.unwrap();
    facilitator.supported().await.unwrap();

    let host = server.url().strip_prefix("http://").unwrap();
    let asked = server.asked();
    let calls = tokens.calls.lock().unwrap().clone();
    assert_eq!((asked.len(), calls.len()), (4, 4));
    let wanted: [(FacilitatorEndpoint, &str); 4] =
        [(Verify, "POST"), (Settle, "POST"), (Settle, "POST"), (Supported, "GET")];
    for (number, ((endpoint, method), (call, asked))) in
        wanted.into_iter().zip(calls.iter().zip(&asked)).enumerate()
    {
        let path = format!("/x402/{}", endpoint.as_str());
        assert_eq!((call.endpoint, call.method, &*call.host, &call.path), (endpoint, method, host, &path));
        assert!(asked.head.starts_with(&format!("{method} {path} HTTP/1.1")), "{}", asked.head);
        let bearer = format!("authorization: Bearer secret-{}\r\n", number + 1);
        assert!(asked.head.contains(&bearer) && asked.head.contains("x-client: x402"), "{}", asked.head);
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_nobody_is_refused() {
    type Hook = fn(FacilitatorCall) -> BoxFuture<'static, Result<AuthHeaders, BoxError>>;
    let hooks: [(&str, Hook); 4] = [
        ("fails", |_| Box::pin(async { Err("hunter2 is wrong".into()) })),
        ("hangs", |_| Box::pin(std::future::pending())),
        ("no header", |_| Box::pin(async { Ok(AuthHeaders::new().header("a b", "hunter2")) })),
        ("another host", |_| Box::pin(async { Ok(AuthHeaders::new().header("host", "hunter2")) })),
    ];
    for (name, hook) in hooks {
        let server = Server::start([]).await;
        let facilitator = server.impatient().authenticate(hook).breaker(BreakerLimits::new().faults(1));
        let log = Log::default();
        let guard = log.listen();
        let begun = Instant::now();
        let verified = facilitator.verify(&good()).await.unwrap_err();
        let settled = facilitator.settle(&good()).await.unwrap_err();
        let supported = facilitator.supported().await.unwrap_err();
        drop(guard);
        assert!(matches!(verified, VerifyError::Unavailable(_)), "{name}: {verified:?}");
        assert!(matches!(settled, SettleError::Unavailable(_)), "{name}: {settled:?}");
        assert!(matches!(supported, VerifyError::Unavailable(_)), "{name}: {supported:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{name}: within the limits of the calls");
        assert_eq!(server.connections(), 0, "{name}");
        let told = format!("{verified:?} {verified} {settled:?} {settled} {supported:?} {}", log.text());
        assert!(told.contains("for want of credentials") && !told.contains("hunter2"), "{name}: {told}");
        assert!(!told.contains("left alone"), "{name}: it is no fault of the facilitator's: {told}");
    }
}

#[tokio::test]
async fn a_hook_has_two_seconds_of_a_long_call() {
    let server = Server::start([]).await;
    let facilitator =
        server.facilitator().authenticate(|_| std::future::pending::<Result<AuthHeaders, BoxError>>());
    let begun = Instant::now();
    let error = facilitator.settle(&good()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "nothing was sent: {error:?}");
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&begun.elapsed()));
}

#[tokio::test]
async fn closures_are_hooks_and_secrets_are_in_no_log() {
    let server = Server::start([valid()]).await;
    let log = Log::default();
    let guard = log.listen();
    let facilitator = server.facilitator().authenticate(|call: FacilitatorCall| async move {
        Ok::<_, BoxError>(AuthHeaders::bearer(&format!("hunter2 {} {}", call.method, call.path)))
    });
    facilitator.verify(&good()).await.unwrap();
    drop(guard);
    assert!(server.asked()[0].head.contains("Bearer hunter2 POST /verify"));
    assert!(!format!("{} {facilitator:?}", log.text()).contains("hunter2"));
}
