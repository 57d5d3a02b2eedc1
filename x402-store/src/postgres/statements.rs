//! The statements, prepared once per connection.
//!
//! Every write takes any number of steps, a column per parameter, and is one transaction by itself: nothing waits for the
//! network while it holds a lock. It says which steps it took, by key.

use tokio_postgres::{Client, Error, Statement};

pub(super) struct Statements {
    /// Writes orders where there are none.
    pub(super) insert: Statement,
    /// Writes one order in the place of another.
    pub(super) displace: Statement,
    /// Changes orders.
    pub(super) replace: Statement,
    pub(super) load: Statement,
    pub(super) namesake: Statement,
    pub(super) due: Statement,
    pub(super) response: Statement,
    pub(super) kept: Statement,
    pub(super) deferred: Statement,
    pub(super) history: Statement,
    pub(super) tidy: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let logged = |from: &str| format!("{LOGGED} FROM {from} WHERE event IS NOT NULL)");
        let added = logged("given JOIN written USING (key)");
        let changed = logged("written");
        let insert = format!(
            "WITH {GIVEN}, written AS ({INSERT} given ON CONFLICT DO NOTHING RETURNING key), {added}"
        );
        let displace = format!(
            "WITH {GIVEN}, {FREED}, written AS ({INSERT} given, (SELECT count(*) FROM freed) AS names
             ON CONFLICT (key) DO UPDATE SET {FROM_EXCLUDED} WHERE orders.version = $27 RETURNING key), {added}"
        );
        let replace = format!("WITH {GIVEN}, {REPLACED}, {changed}, {KEPT}");
        let written = "SELECT key FROM written";
        Ok(Self {
            insert: client.prepare(&format!("{insert} {written}")).await?,
            displace: client.prepare(&format!("{displace} {written}")).await?,
            replace: client.prepare(&format!("{replace} {written}")).await?,
            load: client.prepare(&format!("{SELECT} WHERE key = $1")).await?,
            namesake: client.prepare(&format!("{SELECT} WHERE payer = $1 AND payment_id = $2")).await?,
            due: client.prepare(&format!("{SELECT} WHERE due_at <= $1 ORDER BY due_at LIMIT $2")).await?,
            response: client.prepare("SELECT content FROM responses WHERE key = $1").await?,
            kept: client.prepare("SELECT kept FROM orders WHERE key = $1").await?,
            deferred: client.prepare(DEFERRED).await?,
            history: client.prepare(HISTORY).await?,
            tidy: client.prepare(TIDY).await?,
        })
    }
}

/// What a row is made of.
pub(super) const SELECT: &str = "SELECT document::text, owner, version FROM orders";

/// The steps: see [`Batch`](super::batch::Batch).
const GIVEN: &str = "given AS MATERIALIZED (SELECT * FROM unnest(
    $1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::bool[], $13::bool[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
    $18::bigint[], $19::text[], $20::text[], $21::bigint[], $22::text[], $23::bigint[], $24::bytea[], $25::bigint[])
    AS given(key, id, version, owner, document, payer, payment_id, route, status, payment, delivery, attention, owes,
    created_at, due_at, network, transaction, log_index, settlement, kept, at, event, fence, response, expires_at))";

const INSERT: &str = "INSERT INTO orders (key, id, version, owner, document, payer, payment_id, route, status, payment,
    delivery, attention, owes, created_at, due_at)
    SELECT key, id, version, owner, document::json, payer, payment_id, route, status, payment, delivery, attention, owes,
    created_at, due_at FROM";

/// Another payment's identifier, which it has no use for any more.
const FREED: &str = "freed AS (UPDATE orders SET payment_id = NULL FROM given
    WHERE orders.key = $26 AND orders.version = $28 AND orders.payment_id = given.payment_id RETURNING orders.key)";

/// Of what gives way nothing was settled and nothing kept.
const FROM_EXCLUDED: &str = "id = excluded.id, version = excluded.version, owner = excluded.owner,
    document = excluded.document, payer = excluded.payer, payment_id = excluded.payment_id, route = excluded.route,
    status = excluded.status, payment = excluded.payment, delivery = excluded.delivery,
    attention = excluded.attention, owes = excluded.owes, created_at = excluded.created_at, due_at = excluded.due_at";

/// The identifier stays whose it is. Only who takes an order over becomes its owner: a replica that took over without the
/// last changes counts versions twice, and a holder from before must not write over who took the order there.
const REPLACED: &str = "written AS (UPDATE orders SET version = given.version, owner = given.owner,
    document = given.document::json, status = given.status, payment = given.payment, delivery = given.delivery,
    attention = given.attention, owes = given.owes, due_at = given.due_at, network = given.network,
    transaction = given.transaction, log_index = given.log_index, settlement = given.settlement,
    kept = CASE WHEN given.owes THEN coalesce(given.kept, orders.kept) END
    FROM given WHERE orders.key = given.key AND orders.version = given.version - 1
    AND (orders.owner = given.owner OR given.event IN ('taken_over', 'taken_by_worker')) RETURNING given.*)";

const LOGGED: &str = "logged AS (INSERT INTO transitions (key, version, at, event, payment, delivery, fence)
    SELECT key, version, at, event, payment, delivery, fence";

const KEPT: &str = "responded AS (INSERT INTO responses (key, content, expires_at)
    SELECT key, response, expires_at FROM written WHERE response IS NOT NULL
    ON CONFLICT (key) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at)";

const DEFERRED: &str = "SELECT count(*) FILTER (WHERE payer = $1), count(*) FROM orders WHERE owes";
const HISTORY: &str =
    "SELECT at, event, payment, delivery, fence FROM transitions WHERE key = $1 ORDER BY version";
const TIDY: &str = "DELETE FROM responses WHERE key IN (SELECT key FROM responses WHERE expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1";
