//! Steps side by side: a column per parameter of a statement.

use tokio_postgres::types::ToSql;

use super::record::Record;
use crate::codec::response_to_bytes;

/// Columns of some steps, in the order in which everybody locks rows: by payer, then by key.
pub(super) struct Batch<'a> {
    key: Vec<&'a [u8]>,
    id: Vec<&'a [u8]>,
    version: Vec<i64>,
    owner: Vec<&'a [u8]>,
    document: Vec<&'a str>,
    payer: Vec<&'a str>,
    payment_id: Vec<Option<&'a str>>,
    route: Vec<&'a str>,
    status: Vec<&'a str>,
    payment: Vec<&'a str>,
    delivery: Vec<&'a str>,
    attention: Vec<bool>,
    owes: Vec<bool>,
    created_at: Vec<i64>,
    due_at: Vec<Option<i64>>,
    network: Vec<Option<&'a str>>,
    transaction: Vec<Option<&'a str>>,
    log_index: Vec<Option<i64>>,
    settlement: Vec<Option<&'a str>>,
    kept: Vec<Option<&'a str>>,
    at: Vec<Option<i64>>,
    event: Vec<Option<&'a str>>,
    fence: Vec<Option<i64>>,
    response: Vec<Option<Vec<u8>>>,
    expires_at: Vec<i64>,
}

/// One parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

impl<'a> Batch<'a> {
    /// Of steps with different keys.
    pub(super) fn of(mut steps: Vec<&'a Record>) -> Self {
        steps.sort_unstable_by(|one, other| (&one.payer, one.key).cmp(&(&other.payer, other.key)));
        macro_rules! column {
            ($step:ident => $value:expr) => {
                steps.iter().map(|$step| $value).collect()
            };
        }
        Self {
            key: column!(step => &step.key[..]),
            id: column!(step => &step.id[..]),
            version: column!(step => step.version),
            owner: column!(step => &step.owner[..]),
            document: column!(step => &*step.document),
            payer: column!(step => &*step.payer),
            payment_id: column!(step => step.payment_id.as_deref()),
            route: column!(step => &*step.route),
            status: column!(step => step.status),
            payment: column!(step => &*step.payment),
            delivery: column!(step => &*step.delivery),
            attention: column!(step => step.attention),
            owes: column!(step => step.owes),
            created_at: column!(step => step.created_at),
            due_at: column!(step => step.due_at),
            network: column!(step => step.settlement.as_ref().map(|settled| &*settled.network)),
            transaction: column!(step => step.settlement.as_ref().map(|settled| &*settled.transaction)),
            log_index: column!(step => step.settlement.as_ref().and_then(|settled| settled.log_index)),
            settlement: column!(step => step.settlement.as_ref().map(|settled| &*settled.document)),
            kept: column!(step => step.kept.as_deref()),
            at: column!(step => step.event.as_ref().map(|logged| logged.at)),
            event: column!(step => step.event.as_ref().map(|logged| &*logged.event)),
            fence: column!(step => step.event.as_ref().map(|logged| logged.fence)),
            response: column!(step => step.response.as_ref().map(|response| response_to_bytes(response))),
            expires_at: column!(step => step.expires_at),
        }
    }

    /// In the order of the statements' parameters.
    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        vec![
            &self.key,
            &self.id,
            &self.version,
            &self.owner,
            &self.document,
            &self.payer,
            &self.payment_id,
            &self.route,
            &self.status,
            &self.payment,
            &self.delivery,
            &self.attention,
            &self.owes,
            &self.created_at,
            &self.due_at,
            &self.network,
            &self.transaction,
            &self.log_index,
            &self.settlement,
            &self.kept,
            &self.at,
            &self.event,
            &self.fence,
            &self.response,
            &self.expires_at,
        ]
    }
}
