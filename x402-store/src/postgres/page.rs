//! A filter as a query that follows an index, newest first.

use std::fmt::Write as _;

use tokio_postgres::types::ToSql;
use x402_core::order::{Attention, Cursor, Filter};

use super::{
    batch::Parameter,
    record::{seconds, text},
    statements::SELECT,
};

/// A query and its parameters. It may find more than the filter admits, never less.
pub(super) struct Query {
    pub(super) text: String,
    with: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Query {
    pub(super) fn of(filter: &Filter, after: Option<Cursor>, limit: i64) -> Self {
        let mut query = Self { text: SELECT.to_owned(), with: Vec::new() };
        if let Some(id) = filter.id {
            query.and("id = $", id.as_bytes().to_vec());
        }
        if let Some(status) = filter.status {
            query.and("status = $", status.as_str());
            // What an index of few is for.
            if status.as_str() != COMPLETED {
                query.and_plain("status <> 'completed'");
            }
        }
        if let Some(attention) = filter.attention {
            query.and_plain(suspects(attention));
        }
        if let Some(route) = &filter.route {
            query.and("route = $", text(route));
        }
        if let Some(payer) = &filter.payer {
            query.and("lower(payer) = lower($)", text(payer));
        }
        if let Some(from) = filter.from {
            query.and("created_at >= $", seconds(from));
        }
        if let Some(until) = filter.until {
            query.and("created_at < $", seconds(until));
        }
        if let Some(Cursor { created_at, key }) = after {
            query.and("(created_at, key) < ($, ", seconds(created_at));
            query.with.push(Box::new(key.as_bytes().to_vec()));
            write!(query.text, "${})", query.with.len()).expect("a text takes what is written");
        }
        // Not a parameter: it tells the planner that few are wanted.
        write!(query.text, " ORDER BY created_at DESC, key DESC LIMIT {limit}")
            .expect("a text takes what is written");
        query
    }

    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        self.with.iter().map(|value| &**value as Parameter<'_>).collect()
    }

    /// A condition with a parameter where its `$` is.
    fn and(&mut self, condition: &str, value: impl ToSql + Send + Sync + 'static) {
        self.with.push(Box::new(value));
        let number = format!("${}", self.with.len());
        self.and_plain(&condition.replacen('$', &number, 1));
    }

    fn and_plain(&mut self, condition: &str) {
        let joint = if self.text.len() == SELECT.len() { " WHERE " } else { " AND " };
        self.text.push_str(joint);
        self.text.push_str(condition);
    }
}

/// Orders that may need this attention; whether they do, now, is decided by the order.
const fn suspects(attention: Attention) -> &'static str {
    match attention {
        Attention::SettlementUnknown | Attention::Stuck => {
            "attention AND payment IN ('settling', 'unresolved')"
        }
        Attention::PaidUndelivered => "attention AND payment = 'settled'",
        Attention::DeliveredUnsettled => "attention AND payment = 'failed'",
        _ => "attention",
    }
}

const COMPLETED: &str = "completed";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use x402_core::{order::OrderStatus, scheme::PaymentKey, time::UnixSeconds};

    use super::*;

    #[test]
    fn every_condition_has_its_parameter() {
        let now = UnixSeconds::new(1_000_000);
        let filter = Filter {
            status: Some(OrderStatus::Failed),
            attention: Some(Attention::Stuck),
            route: Some("GET /".into()),
            payer: Some("0xA".into()),
            from: Some(now.before(Duration::from_secs(9))),
            until: Some(now),
            ..Filter::default()
        };
        let after = Some(Cursor { created_at: now, key: PaymentKey::from_bytes([7; 32]) });
        let query = Query::of(&filter, after, 10);
        assert_eq!(
            query.text.strip_prefix(SELECT).unwrap(),
            " WHERE status = $1 AND status <> 'completed' AND attention AND payment IN ('settling', 'unresolved') \
             AND route = $2 AND lower(payer) = lower($3) AND created_at >= $4 AND created_at < $5 \
             AND (created_at, key) < ($6, $7) ORDER BY created_at DESC, key DESC LIMIT 10"
        );
        assert_eq!(query.parameters().len(), 7);
        assert!(
            Query::of(&Filter::default(), None, 1)
                .text
                .ends_with("orders ORDER BY created_at DESC, key DESC LIMIT 1")
        );
    }
}
