//! `x402 orders export`

use std::io::{self, Write};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use x402_core::{
    order::{OrderStore, proof::ProofRecord},
    time::{Clock, SystemClock},
};

use super::{DONE, Failure, filter::FilterArguments};
use crate::lookup::PAGE;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: FilterArguments,
}

/// Page by page: what is in memory does not grow with what is exported.
pub(super) async fn run(
    store: &dyn OrderStore,
    arguments: &Arguments,
    out: &mut (dyn Write + Send),
) -> Result<u8, Failure> {
    let (filter, now) = (arguments.filter.filter(), SystemClock.now());
    let mut after = None;
    loop {
        let page = store.page(&filter, after, PAGE, now).await?;
        let records = page.orders.into_iter().map(async |order| {
            let history = store.history(&order.key).await?;
            Ok::<_, Failure>(ProofRecord::of(&order, history))
        });
        let mut records = stream::iter(records).buffered(AT_ONCE);
        while let Some(record) = records.try_next().await? {
            serde_json::to_writer(&mut *out, &record).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        let Some(next) = page.next else { return Ok(DONE) };
        after = Some(next);
    }
}

/// Histories that are asked for at once.
const AT_ONCE: usize = 16;
