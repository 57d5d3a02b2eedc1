//! x
use x402_benches::*;
fn main() {
    let engine = in_memory(prices());
    let x402_core::Triage::Reply(r) = engine.triage(&Head::unpaid()) else { panic!() };
    for (n, v) in &r.headers { println!("{n}: {} bytes", v.len()); }
    println!("{}", String::from_utf8_lossy(&r.body));
    let h: serde_json::Value = x402_core::wire::header::decode_json(r.get("payment-required").unwrap(), 100000).unwrap();
    println!("{h}");
    println!("triage {} admission {} reply {}", size_of::<x402_core::Triage>(), size_of::<x402_core::Admission>(), size_of_val(&r));
    let apps = Apps::new(engine);
    let fut = send(&apps.wrapped, request(PRICED, None));
    println!("send fut {}", size_of_val(&fut));
    use tower::Service;
    let mut w = apps.wrapped.clone();
    println!("wrapped fut {}", size_of_val(&w.call(request(PRICED, None))));
    let mut w = apps.bare.clone();
    println!("bare fut {}", size_of_val(&Service::<http::Request<axum::body::Body>>::call(&mut w, request(PRICED, None))));
}
