use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::ServiceExt;
use x402_tower::core::testing::FakeFacilitator;

use crate::support::{Frames, behind, get, text};

#[tokio::test]
async fn free_requests_pass_untouched() {
    let service = behind(&FakeFacilitator::new(), |request: Request<_>| async move {
        assert_eq!(request.uri().path(), "/free");
        Response::builder()
            .status(203)
            .header("cache-control", "public, max-age=3600")
            .header("payment-response", "the handler's own")
            .body(Full::new(Bytes::from_static(b"hello")))
            .unwrap()
    });
    let response = service.oneshot(get("/free")).await.unwrap();
    assert_eq!(response.status(), 203);
    assert_eq!(response.headers().len(), 2);
    assert_eq!(response.headers()["cache-control"], "public, max-age=3600");
    assert_eq!(response.body().size_hint().exact(), Some(5));
    assert!(!response.body().is_end_stream());
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn streams_keep_what_they_say_of_themselves() {
    for length in [None, Some(7)] {
        let service = behind(&FakeFacilitator::new(), move |_| async move {
            Response::new(Frames { length, ..Frames::stream(["abc", "defg"]) })
        });
        let response = service.oneshot(get("/unpriced")).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), length);
        assert_eq!(text(response).await, "abcdefg");
    }
}

#[test]
fn an_empty_body_is_the_inner_ones() {
    let body = x402_tower::ResponseBody::<Full<Bytes>>::default();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
}
