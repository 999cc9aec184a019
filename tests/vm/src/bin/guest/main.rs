//! The program inside the guest: `guest ipvs` runs the tests of the load balancer; `serve`, `ask`, `pour` and `hold` are its servers and
//! clients.
#![forbid(unsafe_code)]

use std::time::Duration;
use steadfast_test_vm::lab::Lab;
use steadfast_test_vm::talk;

mod clock;
mod dumps;
mod ipvs;
mod kernel;
mod large;
mod links;
mod pairs;
mod systemd;
mod web;
mod words;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", name, address] => talk::serve(name, address),
        ["ask", address, times] => println!("{}", talk::ask(address, times.parse().unwrap_or(1))),
        ["pour", address, file] => talk::pour(address, file),
        ["hold", address, millis] => {
            println!("{}", talk::hold(address, Duration::from_millis(millis.parse().unwrap_or(1000))));
        }
        ["knock", address, file] => println!("{}", talk::knock(address, file)),
        ["confined", path] => kernel::confined(path),
        ["ipvs", only @ ..] => {
            let mut lab = Lab::build();
            let mut failed = 0;
            let all = [ipvs::TESTS, web::TESTS, large::TESTS, words::TESTS, pairs::TESTS, kernel::TESTS].concat();
            for (name, test) in all.iter().filter(|(n, _)| only.is_empty() || only.contains(n)) {
                lab.reset();
                let begun = std::time::Instant::now();
                let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&mut lab)));
                let word = if end.is_ok() { "ok" } else { "FAILED" };
                failed += i32::from(end.is_err());
                println!("in the guest: {name} ... {word} ({:.1} s)", begun.elapsed().as_secs_f64());
            }
            std::process::exit(failed.min(1));
        }
        ["systemd", only @ ..] => run(systemd::TESTS, only),
        ["links", only @ ..] => run(&[links::TESTS, dumps::TESTS, clock::TESTS].concat(), only),
        _ => {
            eprintln!(
                "usage: guest ipvs [TEST...] | links [TEST...] | systemd [TEST...] | serve NAME ADDRESS | ask ADDRESS TIMES | pour ADDRESS FILE | hold ADDRESS MILLISECONDS"
            );
            std::process::exit(2);
        }
    }
}

/// Runs tests that need no lab.
fn run(tests: &[(&str, fn())], only: &[&str]) {
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(n, _)| only.is_empty() || only.contains(n)) {
        let begun = std::time::Instant::now();
        let end = std::panic::catch_unwind(test);
        let word = if end.is_ok() { "ok" } else { "FAILED" };
        failed += i32::from(end.is_err());
        println!("in the guest: {name} ... {word} ({:.1} s)", begun.elapsed().as_secs_f64());
    }
    std::process::exit(failed.min(1));
}
