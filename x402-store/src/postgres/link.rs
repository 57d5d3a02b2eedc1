//! A connection that comes back by itself.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, task::JoinHandle};
use tokio_postgres::{Error, Row, Statement};

use super::{
    batch::Parameter,
    session::{Session, Target},
    statements::Statements,
    trouble::Trouble,
};
use crate::patience::within;

/// One connection at a time, made when it is needed, used by any number at once: their statements follow each other
/// without waiting for answers.
pub(super) struct Link {
    target: Arc<Target>,
    /// How long a statement may take.
    limit: Duration,
    slot: Mutex<Slot>,
}

enum Slot {
    Empty,
    /// Goes on whether or not somebody waits for it.
    Making(JoinHandle<Result<Session, Trouble>>),
    There(Arc<Session>),
}

/// A statement.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Prepared(fn(&Statements) -> &Statement),
    Text(&'a str),
}

impl Link {
    /// With a connection, so that what is in its way is known at once.
    pub(super) async fn open(target: &Arc<Target>, limit: Duration) -> Result<Self, Trouble> {
        let link = Self { target: Arc::clone(target), limit, slot: Mutex::new(Slot::Empty) };
        link.session().await?;
        Ok(link)
    }

    /// Asks something that may be asked twice: it is, where the connection is lost meanwhile.
    pub(super) async fn query(&self, ask: Ask<'_>, with: &[Parameter<'_>]) -> Result<Vec<Row>, Trouble> {
        let asked = async {
            match self.query_once(ask, with).await {
                Err(trouble) if trouble.is_lost => self.query_once(ask, with).await,
                done => done,
            }
        };
        within(self.limit, asked).await.unwrap_or_else(|| Err(Trouble::silence()))
    }

    /// # Cancellation
    /// A connection on which a statement was given up on is soon replaced.
    async fn query_once(&self, ask: Ask<'_>, with: &[Parameter<'_>]) -> Result<Vec<Row>, Trouble> {
        let session = self.session().await?;
        let given_up = Doubt(Some(&session));
        let answer = asked(&session, ask, with).await;
        given_up.clear();
        Ok(answer?)
    }

    /// The connection, a new one if there is none that is good.
    ///
    /// # Cancellation
    /// A connection that is being made is there for who asks next.
    async fn session(&self) -> Result<Arc<Session>, Trouble> {
        let mut slot = self.slot.lock().await;
        if let Slot::There(session) = &*slot {
            if session.is_good(self.target.patience) {
                return Ok(Arc::clone(session));
            }
            *slot = Slot::Empty;
        }
        if matches!(*slot, Slot::Empty) {
            let (target, limit) = (Arc::clone(&self.target), self.limit);
            *slot = Slot::Making(tokio::spawn(async move { Session::open(&target, limit).await }));
        }
        let Slot::Making(making) = &mut *slot else { unreachable!("the slot was empty") };
        let made = making.await;
        *slot = Slot::Empty;
        let session = Arc::new(made.map_err(|_| Trouble::new(ENDED))??);
        *slot = Slot::There(Arc::clone(&session));
        Ok(session)
    }
}

async fn asked(session: &Session, ask: Ask<'_>, with: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
    match ask {
        Ask::Prepared(pick) => session.client.query(pick(&session.statements), with).await,
        Ask::Text(text) => session.client.query(text, with).await,
    }
}

/// Dropped before it is cleared, it casts doubt on its connection.
struct Doubt<'a>(Option<&'a Session>);

impl Doubt<'_> {
    fn clear(mut self) {
        self.0 = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.doubt();
        }
    }
}

const ENDED: &str = "is not connected to any more: the runtime that the store was made on is ending";
