use std::{
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

/// Compares times on a machine that others use too.
///
/// The runners take turns (A B C A B C ..) in slices far shorter than what disturbs them, and each keeps its best
/// slice. What is compared is thus how fast each can be, and a busy neighbour costs rounds, not truth.
#[must_use = "a race does nothing until it is run"]
pub struct Race<'a> {
    runners: Vec<Runner<'a>>,
}

struct Runner<'a> {
    name: &'static str,
    slice: Box<dyn FnMut(u32) -> Duration + 'a>,
    turns: u32,
    best: f64,
}

impl<'a> Race<'a> {
    /// A race without runners.
    pub const fn new() -> Self {
        Self { runners: Vec::new() }
    }

    /// Adds a runner.
    pub fn runner<T>(self, name: &'static str, mut run: impl FnMut() -> T + 'a) -> Self {
        self.prepared(name, || (), move |()| run())
    }

    /// Adds a runner that uses something up in every turn; making it is not timed.
    pub fn prepared<I, T>(
        mut self,
        name: &'static str,
        mut prepare: impl FnMut() -> I + 'a,
        mut run: impl FnMut(I) -> T + 'a,
    ) -> Self {
        let slice = move |turns| {
            let inputs: Vec<I> = (0..turns).map(|_| prepare()).collect();
            let begun = Instant::now();
            for input in inputs {
                black_box(run(input));
            }
            begun.elapsed()
        };
        self.runners.push(Runner { name, slice: Box::new(slice), turns: LEAST_TURNS, best: f64::INFINITY });
        self
    }

    /// Runs so many rounds.
    #[must_use]
    pub fn run(mut self, rounds: u32) -> Standings {
        self.runners.iter_mut().for_each(Runner::warm_up);
        for _ in 0..rounds {
            self.runners.iter_mut().for_each(Runner::turn);
        }
        Standings(self.runners.iter().map(|runner| (runner.name, runner.best)).collect())
    }
}

impl Default for Race<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Race<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.runners.iter().map(|runner| runner.name)).finish()
    }
}

impl Runner<'_> {
    /// Doubles the turns until a slice is long enough for the clock.
    fn warm_up(&mut self) {
        while (self.slice)(self.turns) < SLICE {
            self.turns = self.turns.saturating_mul(2);
        }
    }

    fn turn(&mut self) {
        let each = (self.slice)(self.turns).as_secs_f64() / f64::from(self.turns);
        self.best = self.best.min(each);
    }
}

/// The best time of each runner.
#[derive(Clone, Debug)]
pub struct Standings(Vec<(&'static str, f64)>);

impl Standings {
    /// A runner's best time for one turn.
    ///
    /// # Panics
    /// When nobody of this name ran.
    #[must_use]
    pub fn nanoseconds(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(runner, _)| *runner == name);
        found.unwrap_or_else(|| panic!("{name} did not run")).1 * 1e9
    }

    /// How many times as long one runner takes as another.
    ///
    /// # Panics
    /// When one of them did not run.
    #[must_use]
    pub fn ratio(&self, name: &str, other: &str) -> f64 {
        self.nanoseconds(name) / self.nanoseconds(other)
    }

    /// What one runner takes beyond others together, in nanoseconds.
    ///
    /// # Panics
    /// When one of them did not run.
    #[must_use]
    pub fn beyond(&self, name: &str, others: &[&str]) -> f64 {
        self.nanoseconds(name) - others.iter().map(|other| self.nanoseconds(other)).sum::<f64>()
    }

    /// All times as a table, with the ratios to one of the runners.
    ///
    /// # Panics
    /// When nobody of this name ran.
    #[must_use]
    pub fn table(&self, base: &str) -> String {
        let mut table = format!("{:<56} {:>10}  ratio\n", "", "ns");
        for (name, _) in &self.0 {
            let (time, ratio) = (self.nanoseconds(name), self.ratio(name, base));
            table += &format!("{name:<56} {time:>10.1}  {ratio:.2}\n");
        }
        table
    }
}

/// Short beside what a scheduler or a neighbour does, long beside the clock.
const SLICE: Duration = Duration::from_micros(150);
const LEAST_TURNS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_work_takes_longer() {
        let work = |times: u64| move || (0..times).map(black_box).sum::<u64>();
        let standings = Race::new().runner("once", work(1_000)).runner("twice", work(2_000)).run(50);
        assert!(standings.ratio("twice", "once") > 1.2, "{standings:?}");
    }
}
