//! Hundreds of histories in every run. SIM_SEEDS says how many, SIM_SEED plays one and prints it.

use steadfast_test_sim::World;

/// Seeds that have found something once.
const REGRESSIONS: &[u64] = &[];

#[test]
fn the_invariants_hold_in_every_history() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(one) => vec![one],
        None => REGRESSIONS.iter().copied().chain(0..number("SIM_SEEDS").unwrap_or(400)).collect(),
    };
    let mut adverts = 0;
    let mut failures = Vec::new();
    for seed in &seeds {
        match World::play(*seed) {
            Ok(n) => adverts += n,
            Err(f) => failures.push(f),
        }
    }
    println!("{} histories, {adverts} adverts, {} failures", seeds.len(), failures.len());
    for f in &failures {
        println!("seed {}: {}", f.seed, f.what);
    }
    if let Some(f) = failures.first() {
        println!("{}", f.trace);
        panic!("seed {}: {}\nplay it again: SIM_SEED={} cargo test -p steadfast-test-sim", f.seed, f.what, f.seed);
    }
}
