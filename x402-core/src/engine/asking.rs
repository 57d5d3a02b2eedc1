//! Asking hooks, whatever they do: they may say no, fail, panic or hang.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;
use tracing::Instrument;

use super::{
    Engine,
    hold::Hold,
    hooks::{ChallengeFacts, HookResult, Hooks, PaymentFacts, Veto},
    replies,
};
use crate::{
    Reply,
    error::{BoxError, Unavailable},
    facilitator::{BoxFuture, Settlement},
    order::Order,
    telemetry,
};

/// The hooks of an engine, in the order in which they are asked.
#[derive(Clone, Default)]
pub(super) struct HookList(Vec<Arc<dyn Hooks>>);

/// A question that hooks may answer with no.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    BeforeVerify,
    AfterVerify,
    BeforeSettle,
}

/// A hook did not let a payment pass.
#[derive(Debug)]
pub(super) struct Stopped {
    /// What the order's record says.
    pub(super) code: &'static str,
    /// What the client is told.
    pub(super) reply: Reply,
}

/// What hooks are told of once it happened.
#[derive(Clone)]
enum News {
    Settled(Arc<Settlement>),
    Failed(Arc<str>),
}

impl HookList {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, hooks: impl Hooks + 'static) {
        self.0.push(Arc::new(hooks));
    }
}

impl fmt::Debug for HookList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}

impl Engine {
    /// Whether a 402 may be sent; costs a look at an empty list where there are no hooks.
    pub(super) fn ask_to_challenge(&self, challenge: &ChallengeFacts<'_>) -> Result<(), Stopped> {
        for hooks in &self.shared.hooks.0 {
            let asked = catch_unwind(AssertUnwindSafe(|| hooks.on_challenge(challenge)));
            asked
                .unwrap_or_else(|_| Err("hook panicked".into()))
                .map_err(|error| stopped(&error, "on_challenge"))?;
        }
        Ok(())
    }

    /// Asks every hook in turn; the first one that does not let the payment pass is the last one asked.
    pub(super) async fn ask(
        &self,
        question: Question,
        facts: impl FnOnce() -> Arc<PaymentFacts>,
    ) -> Result<(), Stopped> {
        if self.shared.hooks.is_empty() {
            return Ok(());
        }
        let facts = facts();
        for hooks in &self.shared.hooks.0 {
            let (hooks, facts) = (Arc::clone(hooks), Arc::clone(&facts));
            let asked = async move { question.put(&*hooks, &facts).await };
            let answer = in_time(asked, self.shared.settings.hook_deadline).await;
            answer.and_then(|answer| answer).map_err(|error| stopped(&error, question.as_str()))?;
        }
        Ok(())
    }

    /// Tells every hook that the money moved, in a task that nobody waits for but a shutdown.
    pub(super) fn tell_settled(&self, order: &Order, hold: &Hold, settlement: &Arc<Settlement>) {
        self.tell(order, hold, || News::Settled(Arc::clone(settlement)));
    }

    /// Tells every hook that it did not.
    pub(super) fn tell_failed(&self, order: &Order, hold: &Hold, reason: &str) {
        self.tell(order, hold, || News::Failed(reason.into()));
    }

    fn tell(&self, order: &Order, hold: &Hold, news: impl FnOnce() -> News) {
        let hooks = &self.shared.hooks;
        if hooks.is_empty() {
            return;
        }
        let facts = hold.facts().map_or_else(|| Arc::new(PaymentFacts::recorded(order)), Arc::clone);
        let (hooks, news) = (hooks.clone(), news());
        let (working, deadline) = (self.shared.work.begin(), self.shared.settings.hook_deadline);
        let work = async move {
            let _working = working;
            for hooks in hooks.0 {
                let (facts, news) = (Arc::clone(&facts), news.clone());
                let told = async move { news.told(&*hooks, &facts).await };
                if let Err(error) = in_time(told, deadline).await {
                    failed(&error, "told of an outcome");
                }
            }
        };
        tokio::spawn(work.in_current_span());
    }
}

impl Question {
    fn put<'a>(self, hooks: &'a dyn Hooks, facts: &'a PaymentFacts) -> BoxFuture<'a, HookResult> {
        match self {
            Self::BeforeVerify => hooks.before_verify(facts),
            Self::AfterVerify => hooks.after_verify(facts),
            Self::BeforeSettle => hooks.before_settle(facts),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeVerify => "before_verify",
            Self::AfterVerify => "after_verify",
            Self::BeforeSettle => "before_settle",
        }
    }
}

impl News {
    async fn told(&self, hooks: &dyn Hooks, facts: &PaymentFacts) {
        match self {
            Self::Settled(settlement) => hooks.on_settled(facts, settlement).await,
            Self::Failed(reason) => hooks.on_failed(facts, reason).await,
        }
    }
}

/// Runs a hook in a task of its own, so that it takes nobody along when it panics, and nobody waits for it for ever.
async fn in_time<T: Send + 'static>(
    hook: impl Future<Output = T> + Send + 'static,
    deadline: Duration,
) -> Result<T, BoxError> {
    let task = tokio::spawn(hook.in_current_span());
    let stop = task.abort_handle();
    let Ok(ended) = timeout(deadline, task).await else {
        stop.abort();
        return Err("no answer in time".into());
    };
    Ok(ended?)
}

fn stopped(error: &BoxError, hook: &'static str) -> Stopped {
    if let Some(veto) = error.downcast_ref::<Veto>() {
        let code = veto.code();
        metrics::counter!(telemetry::VETOES, "hook" => hook, "code" => code).increment(1);
        tracing::debug!(hook, code, "vetoed");
        return Stopped { code, reply: replies::vetoed(code) };
    }
    failed(error, hook);
    let unavailable = Unavailable::Hook;
    Stopped { code: unavailable.code(), reply: replies::unavailable(unavailable) }
}

fn failed(error: &BoxError, hook: &'static str) {
    metrics::counter!(telemetry::HOOK_FAILURES).increment(1);
    tracing::error!(%error, hook, "hook failed");
}
