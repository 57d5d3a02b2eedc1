use x402_core::price::Prices;

/// The network of all prices.
pub const NETWORK: &str = "eip155:84532";
/// Who is paid.
pub const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

/// The table of the benchmarked services: one priced route beside free ones.
#[must_use]
pub fn prices() -> Prices {
    let prices = Prices::new(ORIGIN).pay_to(NETWORK, PAY_TO).charge("GET /weather/{city}", "$0.001");
    prices.free("GET /forecast/{city}").build().expect("the table has no mistakes")
}

/// A table with so many priced rules, `GET /service-{n}/items/{id}`.
#[must_use]
pub fn prices_with_rules(rules: usize) -> Prices {
    let prices = Prices::new(ORIGIN).pay_to(NETWORK, PAY_TO);
    let charge = |prices: x402_core::price::PricesBuilder, n| {
        prices.charge(format!("GET /service-{n}/items/{{id}}"), "$0.001")
    };
    (0..rules).fold(prices, charge).build().expect("the table has no mistakes")
}

const ORIGIN: &str = "https://api.example.com";
