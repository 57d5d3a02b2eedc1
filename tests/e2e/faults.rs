//! The official facilitator fails in every way it can, at every timing: never a second charge, never a response that nobody
//! pays for, and never a request to pay again while the outcome is unknown.

mod stage;
mod table;

use std::thread;

use x402_tests::Fault;

use self::{
    stage::{Stage, Witness},
    table::{FAULTS, Timing, wanted},
};

/// Every fault at every timing, with the chain in sight, out of sight until the payment is presented again, and without
/// anybody who looks at it.
#[test]
fn no_fault_charges_twice_or_delivers_unpaid_or_asks_to_pay_again() {
    let tables = thread::scope(|scope| {
        let threads = Timing::ALL.map(|timing| scope.spawn(move || table_of(timing)));
        threads.map(|thread| thread.join().expect("the table is complete"))
    });
    println!("| fault | money | timing | witness | told | again | charges | runs | order |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for (line, problem) in tables.into_iter().flatten() {
        println!("{line}");
        wrong.extend(problem);
    }
    assert!(wrong.is_empty(), "{} rows are not as wanted:\n{}", wrong.len(), wrong.join("\n"));
}

/// The rows of a timing, and what is wrong with them.
fn table_of(timing: Timing) -> Vec<(String, Option<String>)> {
    let mut rows = Vec::new();
    let mut stage = Stage::open(timing);
    for witness in Witness::ALL {
        let told = FAULTS.iter().filter(|fault| wanted(**fault, timing, witness).is_some());
        let server = stage.server(witness);
        // All faults first: what is put off and recovered is so for all at once.
        let sales: Vec<_> = told.map(|fault| stage.meet(&server, *fault)).collect();
        stage.everything_was_sent(&sales);
        server.sees_again();
        for sale in sales {
            let wanted = wanted(sale.fault, timing, witness).expect("others were left out");
            let seen = stage.settle_up(&server, &sale, wanted);
            let line = format!("| {} | {timing} | {witness} | {seen} |", named(sale.fault));
            let problem = (seen != wanted).then(|| format!("{line}\n  wanted | {wanted} |"));
            rows.push((line, problem));
        }
    }
    rows
}

/// A fault, and whether the money moves.
fn named(fault: Option<Fault>) -> String {
    let Some(Fault { endpoint, kind, moved, late }) = fault else { return "none | moved".into() };
    let verify = if endpoint == "verify" { "verify: " } else { "" };
    let late = if late.is_zero() { String::new() } else { format!(" {late:?}") };
    format!("{verify}{kind}{late} | {}", if moved { "moved" } else { "not" })
}
