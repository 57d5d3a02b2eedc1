//! Which orders a command is about.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use x402_core::{
    order::{Attention, Filter, OrderStatus},
    time::{Clock, SystemClock, UnixSeconds},
};

use super::time;

#[derive(Args, Clone, Debug, Default)]
pub(super) struct FilterArguments {
    /// Only with this status
    #[arg(long, value_parser = status(), help_heading = WHICH)]
    status: Option<OrderStatus>,
    /// Only those that need this attention
    #[arg(long, value_parser = attention(), help_heading = WHICH)]
    attention: Option<Attention>,
    /// Only of this route, by its pattern, such as "GET /weather/{city}"
    #[arg(long, value_name = "PATTERN", help_heading = WHICH)]
    route: Option<String>,
    /// Only of this payer
    #[arg(long, value_name = "ADDRESS", help_heading = WHICH)]
    payer: Option<String>,
    /// Only those opened then or later: 2026-11-21T08:00:00Z, 2026-11-21, or how long ago: 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = when, help_heading = WHICH)]
    from: Option<UnixSeconds>,
    /// Only those opened before
    #[arg(long, value_name = "TIME", value_parser = when, help_heading = WHICH)]
    until: Option<UnixSeconds>,
}

impl FilterArguments {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            id: None,
            status: self.status,
            attention: self.attention,
            route: self.route.as_deref().map(Into::into),
            payer: self.payer.as_deref().map(Into::into),
            from: self.from,
            until: self.until,
        }
    }
}

fn status() -> impl TypedValueParser<Value = OrderStatus> {
    let of = |name: String| OrderStatus::ALL.into_iter().find(|status| status.as_str() == name);
    PossibleValuesParser::new(OrderStatus::ALL.map(OrderStatus::as_str))
        .map(move |name| of(name).expect("it is one of the possible values"))
}

fn attention() -> impl TypedValueParser<Value = Attention> {
    let of = |name: String| Attention::ALL.into_iter().find(|attention| attention.as_str() == name);
    PossibleValuesParser::new(Attention::ALL.map(Attention::as_str))
        .map(move |name| of(name).expect("it is one of the possible values"))
}

fn when(text: &str) -> Result<UnixSeconds, &'static str> {
    time::read(text, SystemClock.now())
}

const WHICH: &str = "Which orders";
