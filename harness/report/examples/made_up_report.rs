//! Prints the HTML report of the made-up experiment, to look at while the page is changed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "an example for developers"
)]

#[path = "../tests/made_up/mod.rs"]
mod made_up;

fn main() {
    let record = made_up::experiment();
    let card = record.scorecard().unwrap();
    println!("{}", harness_report::html_report(&record, &card).unwrap());
}
