//! Looking through orders.

use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::Duration};

use super::payments::{Payments, response};
use crate::{
    order::{
        Attention, Cursor, Event, Filter, OpenRequest, Opened, Order, OrderId, OrderStatus, OrderStore, Terms,
    },
    time::UnixSeconds,
};

/// A page has all orders that its filter admits, and no other.
pub async fn a_page_has_what_its_filter_admits(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let mut orders = Vec::new();
    for (number, request) in requests(&payments) {
        orders.push(lead(&payments, number, &request).await);
    }
    let now = payments.now.after(Duration::from_secs(65));
    let payer = || Some(Arc::clone(&orders[0].payer));
    let at = |seconds| Some(payments.now.after(Duration::from_secs(seconds)));
    let of_payer = || Filter { payer: payer(), ..Filter::default() };
    let mut filters = vec![
        (of_payer(), 12),
        (Filter { payer: payer().map(|payer| payer.to_lowercase().into()), ..Filter::default() }, 12),
        (Filter { payer: Some(Arc::clone(&orders[12].payer)), ..Filter::default() }, 2),
        (Filter { payer: Some("0x0000000000000000000000000000000000000001".into()), ..Filter::default() }, 0),
        (Filter { id: Some(orders[5].id), ..Filter::default() }, 1),
        (Filter { id: Some(OrderId::of(&orders[5].key, [9; 16])), ..Filter::default() }, 0),
        (Filter { id: Some(orders[12].id), ..of_payer() }, 0),
        (Filter { route: Some("POST /render".into()), ..of_payer() }, 6),
        (Filter { route: Some("GET /".into()), ..of_payer() }, 0),
        (Filter { from: at(5), ..of_payer() }, 7),
        (Filter { until: at(5), ..of_payer() }, 5),
        (Filter { from: at(3), until: at(6), ..of_payer() }, 3),
        (Filter { from: at(6), until: at(3), ..of_payer() }, 0),
        (Filter { route: Some("POST /render".into()), from: at(3), until: at(6), ..of_payer() }, 2),
        (Filter { status: Some(OrderStatus::Failed), until: at(6), ..of_payer() }, 1),
    ];
    for (status, count) in OrderStatus::ALL.into_iter().zip([6, 2, 3, 1]) {
        filters.push((Filter { status: Some(status), ..of_payer() }, count));
    }
    for (attention, count) in Attention::ALL.into_iter().zip([2, 0, 1, 1]) {
        filters.push((Filter { attention: Some(attention), ..of_payer() }, count));
    }
    for (filter, count) in filters {
        let mut wanted: Vec<_> = orders.iter().filter(|order| filter.admits(order, now)).collect();
        assert_eq!(wanted.len(), count, "{filter:?}");
        wanted.sort_by_key(|order| Reverse(Cursor::at(order)));
        let found = all(&payments, &filter, 5, now).await;
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{filter:?}");
    }
}

/// Page by page, newest first: 200 orders are read in full and none twice, while some of them change and others come.
pub async fn pages_have_every_order_once_while_others_come(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = |number: u32| payments.request_of(0, number);
    let filter = Filter { payer: Some(request(0).payer), ..Filter::default() };
    let mut orders = Vec::new();
    let mut leases = Vec::new();
    for number in 0..200 {
        // Five in each second, so that pages end in the middle of one.
        let at = payments.now.after(Duration::from_secs(u64::from(number / 5)));
        let Ok(Opened::New(lease, order)) = payments.store.open(&request(number), at).await else {
            panic!("wanted a new order")
        };
        orders.push(order);
        leases.push(lease);
    }
    orders.sort_by_key(|order| Reverse(Cursor::at(order)));
    let wanted: Vec<_> = orders.iter().map(|order| order.key).collect();
    let (mut found, mut after) = (Vec::new(), None);
    let now = payments.now.after(Duration::from_secs(60));
    for number in 200.. {
        assert!(number < 400, "there is no end to it");
        let page = payments.store.page(&filter, after, 7, now).await.expect("the store answers");
        assert!(page.orders.len() <= 7);
        found.extend(page.orders.iter().map(|order| order.key));
        let Some(next) = page.next else { break };
        after = Some(next);
        let came = payments.store.open(&request(number), now).await;
        assert!(matches!(came, Ok(Opened::New(..))), "{came:?}");
        let changed = &leases[(number as usize * 7) % 200];
        payments.store.advance(changed, &Event::VerifyOk, now).await.expect("nobody took over");
    }
    assert_eq!(found, wanted);
}

/// A claim that was refused and made again for another request is listed once: as the order that it is now.
pub async fn a_claim_made_again_is_listed_once(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, first) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyRejected { reason: "insufficient_funds".into() }]).await;
    let now = payments.now.after(Duration::from_secs(10));
    let Ok(Opened::New(_, second)) = payments.store.open(&payments.elsewhere(&request), now).await else {
        panic!("wanted a new order")
    };
    let filter = Filter { payer: Some(request.payer), ..Filter::default() };
    let found = all(&payments, &filter, 10, now).await;
    assert_eq!(format!("{found:?}"), format!("{:?}", [second]));
    let former = Filter { id: Some(first.id), ..Filter::default() };
    assert!(all(&payments, &former, 10, now).await.is_empty());
}

/// All orders that a filter admits, in pages of so many.
async fn all(payments: &Payments, filter: &Filter, limit: usize, now: UnixSeconds) -> Vec<Order> {
    let (mut found, mut after, mut seen) = (Vec::new(), None, HashSet::new());
    loop {
        let page = payments.store.page(filter, after, limit, now).await.expect("the store answers");
        assert!(page.orders.len() <= limit);
        found.extend(page.orders);
        let Some(next) = page.next else { return found };
        assert!(seen.insert(next.key), "pages go in a circle");
        after = Some(next);
    }
}

/// Twelve payments of one payer, two of another, of two routes.
fn requests(payments: &Payments) -> Vec<(u32, OpenRequest)> {
    let request = |number| {
        let request = payments.request_of(number / 12, number);
        let terms = match number % 2 {
            0 => request.terms,
            _ => Arc::new(Terms::new("POST /render".into(), request.terms.option.clone())),
        };
        OpenRequest { terms, ..request }
    };
    (0..14).map(|number| (number, request(number))).collect()
}

/// Opens the order of this number, in the second of this number, and leads it to where it is to be.
async fn lead(payments: &Payments, number: u32, request: &OpenRequest) -> Order {
    let at = payments.now.after(Duration::from_secs(number.into()));
    let Ok(Opened::New(lease, order)) = payments.store.open(request, at).await else {
        panic!("wanted a new order")
    };
    let reason = || "insufficient_funds".into();
    let started = || Event::SettleStarted { response: Some(Arc::new(response())) };
    let begun = |more: Vec<Event>| [vec![Event::VerifyOk, Event::HandlerStarted], more].concat();
    let settled = || payments.settled(request);
    let failed = || Event::SettleFailed { reason: reason(), dead: false, transaction: None };
    let events = match number {
        0 | 12 => vec![],
        1 => vec![Event::VerifyOk],
        2 => begun(vec![]),
        3 => begun(vec![started(), settled(), Event::Delivered]),
        4 => begun(vec![started(), failed()]),
        5 => begun(vec![started(), settled()]),
        6 => begun(vec![started(), Event::SettleUnclear { transaction: Some("0xabc".into()) }]),
        7 => begun(vec![started()]),
        8 => vec![Event::VerifyRejected { reason: reason() }],
        9 => vec![Event::Expired],
        10 => begun(vec![payments.deferred(request, None), Event::Delivered, failed()]),
        _ => begun(vec![payments.deferred(request, None), Event::Delivered, settled()]),
    };
    if events.is_empty() { order } else { payments.report_at(&lease, events, at).await }
}
