//! Dying on purpose: at a named step of a payment, at once and without a chance to clean up.

mod journal;
mod settler;
mod store;

pub(crate) use self::{journal::CrashingJournal, settler::CrashingSettler, store::CrashingStore};

/// A step of a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Its order is open.
    Claimed,
    /// It is verified, and that is recorded.
    Verified,
    /// Its handler has done its work and has yet to answer.
    Handler,
    /// It is recorded that a settlement begins, or is put off.
    Intent,
    /// Its transaction is written down and not sent.
    Noted,
    /// The money has moved; that is not recorded.
    Settled,
    /// That the money has moved is recorded.
    Answered,
    /// The response of a payment that was settled first is kept.
    Kept,
    /// The response is out; that is not recorded.
    Delivered,
}

/// The step at which this process dies, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crash(Option<Step>);

impl Step {
    const ALL: [(&'static str, Self); 9] = [
        ("claimed", Self::Claimed),
        ("verified", Self::Verified),
        ("handler", Self::Handler),
        ("intent", Self::Intent),
        ("noted", Self::Noted),
        ("settled", Self::Settled),
        ("answered", Self::Answered),
        ("kept", Self::Kept),
        ("delivered", Self::Delivered),
    ];
}

impl Crash {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = Step::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, step)| Self(Some(step))).ok_or_else(|| {
            let known: Vec<_> = Step::ALL.iter().map(|(known, _)| *known).collect();
            format!("is {name:?}, wanted one of {}", known.join(", "))
        })
    }

    pub(crate) const fn is_wanted(self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_at(self, step: Step) -> bool {
        self.0 == Some(step)
    }

    /// Dies if this is the step.
    pub(crate) fn reached(self, step: Step) {
        if self.is_at(step) {
            die();
        }
    }
}

/// As `kill -9` does it: nothing unwinds, nothing is flushed, nobody is told.
fn die() -> ! {
    #[cfg(unix)]
    {
        use nix::{
            sys::signal::{Signal, kill},
            unistd::Pid,
        };
        let _ = kill(Pid::this(), Signal::SIGKILL); // a process may always kill itself
    }
    std::process::abort()
}
