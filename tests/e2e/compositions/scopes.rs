//! actix: scopes in scopes, resources, a default service, and its own path normalizer in front and behind.

use actix_web::{
    App, HttpResponse, Route,
    body::to_bytes,
    http::{Method, Uri},
    middleware::{Condition, NormalizePath, TrailingSlash},
    rt::System,
    test::{TestRequest, init_service, try_call_service},
    web,
};
use x402_actix::Paywall;

use super::{Till, what_ran_was_charged};

fn costs(till: &Till, price: u64) -> Route {
    let till = till.clone();
    web::route().to(move || {
        till.run(price);
        async { HttpResponse::Ok().body("sold") }
    })
}

fn free() -> Route {
    web::route().to(async || "free")
}

fn routes(config: &mut web::ServiceConfig, till: &Till) {
    let deep = web::scope("/deep").route("/x", costs(till, 4000));
    config
        .service(web::scope("/api").route("/report", costs(till, 20)).route("/{id}", costs(till, 300)))
        .service(web::scope("/v1").service(deep).route("/free", free()))
        .service(web::resource("/merged").route(costs(till, 50_000)))
        .service(web::resource("/cheap").route(costs(till, 1)))
        .service(web::resource("/files/free.txt").route(free()))
        .service(web::resource("/files/{rest:.*}").route(costs(till, 600_000)))
        .service(web::resource("/free").route(free()))
        .default_service(free());
}

#[test]
fn every_composition_of_actix_scopes() {
    let system = System::new();
    let till = Till::new();
    let paywall = Paywall::from(system.block_on(async { till.engine() }));
    for (name, in_front, behind, style) in [
        ("plain", false, false, TrailingSlash::Trim),
        ("normalized in front", true, false, TrailingSlash::Trim),
        ("merged in front", true, false, TrailingSlash::MergeOnly),
        ("normalized behind", false, true, TrailingSlash::Trim),
        ("merged behind", false, true, TrailingSlash::MergeOnly),
    ] {
        // What is wrapped last is asked first.
        let app = App::new()
            .wrap(Condition::new(behind, NormalizePath::new(style)))
            .wrap(paywall.clone())
            .wrap(Condition::new(in_front, NormalizePath::new(style)))
            .configure(|config| routes(config, &till));
        let app = system.block_on(init_service(app));
        what_ran_was_charged(&till, name, |method, target, payment| {
            let target: Uri = target.parse().ok()?;
            let method = Method::from_bytes(method.as_bytes()).ok()?;
            let mut request = TestRequest::default().uri(&target.to_string()).method(method);
            if let Some(payment) = payment {
                request = request.insert_header(("x-payment", payment));
            }
            system.block_on(async {
                let answered = try_call_service(&app, request.to_request()).await;
                let body = match answered {
                    Ok(response) => response.map_into_boxed_body().into_parts().1.into_body(),
                    Err(error) => error.error_response().into_body(),
                };
                Some(to_bytes(body).await.unwrap().to_vec())
            })
        });
    }
}
