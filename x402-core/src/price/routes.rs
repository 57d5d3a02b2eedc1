//! Which rule a request falls under.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Rule, UnmatchedRoute,
    path::{is_ambiguous, is_plain, readings},
    pattern::{Pattern, Segment},
    trie::Node,
};

/// What the table says about a method and a path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup<'a> {
    /// It costs nothing, or the table does not know it and lets such requests pass.
    Free,
    /// The table does not know it and refuses such requests.
    Reject,
    /// Routers may read the path in different ways: 400.
    Ambiguous,
    /// It costs something.
    Priced(&'a Arc<Rule>),
    /// The path costs something by other methods, and there is no rule for this one: 405.
    MethodNotAllowed {
        /// The methods with a rule, for the header `Allow`.
        allow: Bytes,
    },
    /// `OPTIONS` on a path that costs something by other methods: 204, answered by the paywall.
    Options {
        /// The methods with a rule, for the header `Allow`.
        allow: Bytes,
    },
}

/// The compiled table.
#[derive(Debug)]
pub(super) enum Routes {
    /// A tree of patterns.
    Table(Box<Table>),
    /// One rule for all.
    Every(Arc<Rule>),
}

impl Routes {
    /// The same routes with other rules behind them.
    pub(super) fn with_rules(&self, new: &impl Fn(&Arc<Rule>) -> Arc<Rule>) -> Self {
        match self {
            Self::Every(rule) => Self::Every(new(rule)),
            Self::Table(table) => {
                let mut table = table.clone();
                table.root.change(&mut |leaf: &mut Leaf| {
                    for (_, entry) in &mut leaf.0 {
                        match entry {
                            Entry::Priced(rule) | Entry::Covered(rule) => *rule = new(rule),
                            Entry::Free { .. } => {}
                        }
                    }
                });
                Self::Table(table)
            }
        }
    }

    pub(super) fn lookup(&self, method: &str, path: &str) -> Lookup<'_> {
        let plain = is_plain(path);
        if !plain && is_ambiguous(path) {
            return Lookup::Ambiguous;
        }
        match self {
            Self::Every(_) if method == "OPTIONS" => {
                Lookup::Options { allow: Bytes::from_static(EVERY_METHOD.as_bytes()) }
            }
            Self::Every(rule) => Lookup::Priced(rule),
            Self::Table(table) => table.lookup(method, path, plain),
        }
    }
}

/// Patterns by segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    root: Node<Leaf>,
    /// Every method that has a rule, in the order of `Allow`.
    methods: Vec<Arc<str>>,
    unmatched: UnmatchedRoute,
}

/// What one pattern says, by method.
#[derive(Clone, Debug, Default)]
struct Leaf(Vec<(Arc<str>, Entry)>);

#[derive(Clone, Debug)]
enum Entry {
    Free {
        label: Arc<str>,
    },
    Priced(Arc<Rule>),
    /// Written by nobody: what a priced pattern covers besides, as some routers read it. It gives way to free
    /// patterns that are more specific; with another priced one that fits it is a clash.
    Covered(Arc<Rule>),
}

/// What one reading of a path falls under.
enum Found<'a> {
    Priced(&'a Arc<Rule>),
    /// No rule, on a path that costs something by other methods.
    OtherMethod,
    /// Two rules, one of which only some routers would see.
    Clash,
    Free,
    Unknown,
}

impl Table {
    pub(super) fn new(unmatched: UnmatchedRoute) -> Self {
        Self { unmatched, ..Self::default() }
    }

    /// Adds a pattern, priced or free, or names the pattern that says the same.
    pub(super) fn insert(&mut self, pattern: &Pattern, rule: Option<&Arc<Rule>>) -> Result<(), Arc<str>> {
        for method in &pattern.methods {
            let leaf = self.root.entry(&pattern.segments);
            if let Some(entry) = leaf.get(method) {
                return Err(entry.label().clone());
            }
            let entry = match rule {
                Some(rule) => Entry::Priced(rule.clone()),
                None => Entry::Free { label: pattern.label.clone() },
            };
            leaf.0.push((method.clone(), entry));
            if !self.methods.contains(method) {
                self.methods.push(method.clone());
            }
        }
        Ok(())
    }

    /// Adds what priced patterns cover besides, once all patterns are in, or names two that contradict each other.
    ///
    /// `/a/` covers `/a`, as routers that drop the last slash read it. `/a/{*rest}` covers `/a/` and `/a`, as routers
    /// serve it whose wildcards may be empty.
    pub(super) fn cover(&mut self, priced: &[(Pattern, Arc<Rule>)]) -> Result<(), (Arc<str>, Arc<str>)> {
        for (pattern, rule) in priced {
            let [bare @ .., Segment::Literal(last)] = &*pattern.segments else { continue };
            if last.is_empty() && !bare.is_empty() {
                self.cover_one(bare, pattern, rule)
                    .map_or(Ok(()), |other| Err((rule.pattern.clone(), other)))?;
            }
        }
        for (pattern, rule) in priced {
            let [bare @ .., Segment::Wildcard(_)] = &*pattern.segments else { continue };
            let slash = [bare, &[Segment::Literal("".into())]].concat();
            self.cover_one(&slash, pattern, rule);
            if !bare.is_empty() {
                self.cover_one(bare, pattern, rule);
            }
        }
        self.methods
            .sort_by_key(|method| ALLOW.iter().position(|known| **known == **method).unwrap_or(ALLOW.len()));
        Ok(())
    }

    /// Covers these segments where nothing is written; otherwise names what is.
    fn cover_one(&mut self, segments: &[Segment], pattern: &Pattern, rule: &Arc<Rule>) -> Option<Arc<str>> {
        let leaf = self.root.entry(segments);
        let mut other = None;
        for method in &pattern.methods {
            match leaf.get(method) {
                Some(entry) => other = Some(entry.label().clone()),
                None => leaf.0.push((method.clone(), Entry::Covered(rule.clone()))),
            }
        }
        other
    }

    /// `plain` paths have no reading but their own.
    fn lookup(&self, method: &str, path: &str, plain: bool) -> Lookup<'_> {
        let found = self.find(method, path);
        let agree = plain || self.readings_agree(&found, method, path);
        match found {
            Found::Clash => Lookup::Ambiguous,
            _ if !agree => Lookup::Ambiguous,
            Found::Priced(rule) => Lookup::Priced(rule),
            Found::OtherMethod if method == "OPTIONS" => Lookup::Options { allow: self.allow(path) },
            Found::OtherMethod => Lookup::MethodNotAllowed { allow: self.allow(path) },
            Found::Unknown if self.unmatched == UnmatchedRoute::Reject => Lookup::Reject,
            Found::Free | Found::Unknown => Lookup::Free,
        }
    }

    /// Whether every other way to read the path is answered like its own.
    fn readings_agree(&self, found: &Found<'_>, method: &str, path: &str) -> bool {
        // The one reading that ordinary paths have besides their own needs no copy.
        let trimmed = path.strip_suffix('/').filter(|path| !path.is_empty() && !path.ends_with('/'));
        match trimmed {
            Some(trimmed) if !path.contains('%') && !path.contains("//") => {
                found.agrees(&self.find(method, trimmed))
            }
            _ => readings(path).iter().all(|reading| found.agrees(&self.find(method, reading))),
        }
    }

    fn find(&self, method: &str, path: &str) -> Found<'_> {
        let (found, priced_elsewhere) = self.find_rule(method, path);
        if priced_elsewhere && matches!(found, Found::Unknown) {
            let costs =
                |method: &Arc<str>| matches!(self.find_rule(method, path).0, Found::Priced(_) | Found::Clash);
            if self.methods.iter().any(costs) {
                return Found::OtherMethod;
            }
        }
        found
    }

    /// The rule for this method, and whether a pattern that fits costs something by another.
    fn find_rule(&self, method: &str, path: &str) -> (Found<'_>, bool) {
        let (mut covered, mut priced_elsewhere) = (None, false);
        let found = self.root.find(path.strip_prefix('/'), &mut |leaf: &Leaf| match leaf.get(method) {
            Some(Entry::Priced(rule)) => Some(Found::Priced(rule)),
            Some(Entry::Free { .. }) => Some(Found::Free),
            Some(Entry::Covered(rule)) => {
                covered.get_or_insert(rule);
                None
            }
            None => {
                priced_elsewhere |= leaf.0.iter().any(|(_, entry)| !matches!(entry, Entry::Free { .. }));
                None
            }
        });
        let found = match (found, covered) {
            (Some(Found::Priced(rule)), Some(other)) if !Arc::ptr_eq(rule, other) => Found::Clash,
            (Some(Found::Priced(rule)), _) | (_, Some(rule)) => Found::Priced(rule),
            (Some(found), None) => found,
            (None, None) => Found::Unknown,
        };
        (found, priced_elsewhere)
    }

    fn allow(&self, path: &str) -> Bytes {
        let mut allow: Vec<&str> = Vec::new();
        for method in self.methods.iter().filter(|method| ***method != *"OPTIONS") {
            if matches!(self.find_rule(method, path).0, Found::Priced(_) | Found::Clash | Found::Free) {
                allow.push(method);
                if &**method == "GET" {
                    allow.push("HEAD");
                }
            }
        }
        allow.push("OPTIONS");
        allow.dedup();
        Bytes::from(allow.join(", "))
    }
}

impl Leaf {
    /// The entry for a method; `HEAD` without one of its own has that of `GET`.
    fn get(&self, method: &str) -> Option<&Entry> {
        let own = |method: &str| self.0.iter().find(|(known, _)| **known == *method).map(|(_, entry)| entry);
        match own(method) {
            None if method == "HEAD" => own("GET"),
            entry => entry,
        }
    }
}

impl Entry {
    fn label(&self) -> &Arc<str> {
        match self {
            Self::Free { label } => label,
            Self::Priced(rule) | Self::Covered(rule) => &rule.pattern,
        }
    }
}

impl Found<'_> {
    /// Whether two readings of one path may be answered alike.
    fn agrees(&self, other: &Found<'_>) -> bool {
        match (self, other) {
            (Self::Priced(this), Found::Priced(other)) => Arc::ptr_eq(this, other),
            (Self::OtherMethod, Found::OtherMethod) => true,
            (Self::Free | Self::Unknown, Found::Free | Found::Unknown) => true,
            _ => false,
        }
    }
}

/// What is allowed where every method costs the same.
const EVERY_METHOD: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// The order in which methods are listed; others follow.
const ALLOW: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

#[cfg(test)]
mod tests;
