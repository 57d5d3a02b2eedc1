//! `x402 orders list`

use std::io::Write;

use clap::Args;
use x402_core::{
    order::{Order, OrderStore},
    time::{Clock, SystemClock, UnixSeconds},
};

use super::{
    DONE, Failure,
    filter::FilterArguments,
    text::{charged, plain},
    time,
    view::OrderView,
};
use crate::lookup::PAGE;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// At most so many; 0 for all
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,
    /// One JSON document a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    store: &dyn OrderStore,
    arguments: &Arguments,
    out: &mut (dyn Write + Send),
) -> Result<u8, Failure> {
    let (filter, now) = (arguments.filter.filter(), SystemClock.now());
    let most = if arguments.limit == 0 { usize::MAX } else { arguments.limit };
    let (mut shown, mut after) = (0, None);
    if !arguments.json {
        writeln!(out, "{HEADER}")?;
    }
    loop {
        // One more than is shown, to tell whether there are more.
        let left = (most - shown).saturating_add(1).min(PAGE);
        let page = store.page(&filter, after, left, now).await?;
        for order in &page.orders {
            if shown == most {
                out.flush()?;
                eprintln!("there are more; see --limit");
                return Ok(DONE);
            }
            if arguments.json {
                write_json(out, order, now)?;
            } else {
                writeln!(out, "{}", line(order, now))?;
            }
            shown += 1;
        }
        let Some(next) = page.next else { return Ok(DONE) };
        after = Some(next);
    }
}

fn write_json(out: &mut (dyn Write + Send), order: &Order, now: UnixSeconds) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, &OrderView::of(order, now)).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}

fn line(order: &Order, now: UnixSeconds) -> String {
    let option = &order.terms.option;
    let attention: Vec<_> = order.attention(now).map(|attention| attention.as_str()).collect();
    let attention = if attention.is_empty() { "-".to_owned() } else { attention.join(",") };
    let cells = [
        order.id.to_string(),
        time::text(order.created_at),
        order.status().to_string(),
        attention,
        charged(order),
        option.network.to_string(),
        plain(&order.payer),
        plain(&order.terms.route),
    ];
    let [id, created, status, attention, money, network, payer, route] = &cells;
    format!("{id}  {created:20}  {status:9}  {attention:16}  {money:>14}  {network:14}  {payer:42}  {route}")
}

const HEADER: &str = "ORDER                             OPENED                STATUS     ATTENTION                 AMOUNT  \
                      NETWORK         PAYER                                       ROUTE";
