//! Hundreds of histories in every run. SIM_SEEDS says how many, SIM_SEED plays one and prints it.

use std::time::{Duration, Instant};
use steadfast_test_sim::{Failure, World};

/// Seeds that have found something once.
const REGRESSIONS: &[u64] = &[];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|v| v.parse().ok())
}

fn tell(failures: &[Box<Failure>]) {
    for f in failures {
        println!("seed {}: {}", f.seed, f.what);
    }
    if let Some(f) = failures.first() {
        println!("{}", f.trace);
        panic!("seed {}: {}\nplay it again: SIM_SEED={} cargo test -p steadfast-test-sim", f.seed, f.what, f.seed);
    }
}

#[test]
fn the_invariants_hold_in_every_history() {
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(one) => vec![one],
        None => REGRESSIONS.iter().copied().chain(0..number("SIM_SEEDS").unwrap_or(400)).collect(),
    };
    let begun = Instant::now();
    let (mut adverts, mut deaths, mut lasted) = (0, 0, Duration::ZERO);
    let mut failures = Vec::new();
    for seed in &seeds {
        match World::play(*seed) {
            Ok(p) => {
                adverts += p.adverts;
                deaths += p.deaths;
                lasted += p.lasted;
            }
            Err(f) => failures.push(f),
        }
    }
    println!(
        "{} histories, {:.1} simulated hours in {:.1} s, {adverts} adverts, {deaths} deaths, {} failures",
        seeds.len(),
        lasted.as_secs_f64() / 3600.0,
        begun.elapsed().as_secs_f64(),
        failures.len()
    );
    tell(&failures);
}
