//! Histories of one kind: one crash, a crash at each step of one thing, an hour of loss.

use crate::{Failure, Played, World};
use std::time::Duration;
use steadfast_core::{State, Time};

/// What a child may be doing when it dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// Taking over from a master that stops in order.
    TakesOver,
    /// Handing over, for the daemon stops.
    Stops,
    /// The same, and its priority is an owner's: its addresses may be the interface's own, for all that its successor knows.
    OwnerStops,
    /// Handing over, for its link is cut.
    LosesItsLink,
    /// Giving way to a better router that came back.
    GivesWay,
    /// Taking over another configuration.
    Reloads,
    /// Going on where another life ended.
    Resumes,
}

/// All of them.
pub const DOINGS: [Doing; 7] = [
    Doing::TakesOver,
    Doing::Stops,
    Doing::OwnerStops,
    Doing::LosesItsLink,
    Doing::GivesWay,
    Doing::Reloads,
    Doing::Resumes,
];

impl World {
    /// A cluster that has come to rest, and a node that leads.
    fn at_rest(seed: u64) -> Result<(World, usize), Box<Failure>> {
        World::new(seed).comes_to_rest(seed)
    }

    fn comes_to_rest(mut self, seed: u64) -> Result<(World, usize), Box<Failure>> {
        let world = &mut self;
        world.quiet().map_err(|what| world.failure(seed, what))?;
        match (0..world.nodes.len()).find(|n| world.state(*n, 0) == Some(State::Master)) {
            Some(n) => Ok((self, n)),
            None => Err(world.failure(seed, "nobody leads".into())),
        }
    }

    /// A child that crashed once is master again within its advert interval, its addresses have not moved, and no peer takes over.
    pub fn crash_once(seed: u64) -> Result<(), Box<Failure>> {
        World::unnoticed(seed, |w, n| w.child_ends(n, false))
    }

    /// The same of an upgrade.
    pub fn upgrade_once(seed: u64) -> Result<(), Box<Failure>> {
        World::unnoticed(seed, World::upgrade)
    }

    fn unnoticed(seed: u64, event: impl FnOnce(&mut World, usize)) -> Result<(), Box<Failure>> {
        let (mut world, n) = World::at_rest(seed)?;
        let interval = world.interval();
        world.pause(interval);
        let (before, kernel) = (world.accessions, world.nodes[n].kernel.words());
        let states = |w: &World| (0..w.instances).map(|i| w.state(n, i)).collect::<Vec<_>>();
        let led = states(&world);
        event(&mut world, n);
        let mut result = Ok(());
        let end = world.now + interval;
        // As often as something happens, nearly.
        while world.now < end && result.is_ok() {
            world.run(interval / 50);
            if world.nodes[n].kernel.words() != kernel {
                result = Err(format!("node {n} has {:?} instead of {kernel:?}", world.nodes[n].kernel.words()));
            }
        }
        if result.is_ok() && states(&world) != led {
            result = Err(format!("node {n} was {led:?} and is {:?} after {interval:?}", states(&world)));
        }
        world.run(4 * interval);
        if result.is_ok() && world.accessions != before {
            result = Err("a peer took over".into());
        }
        result.and_then(|()| world.quiet()).map_err(|what| world.failure(seed, what))
    }

    /// The child dies after so many steps of something. `None`: it did not come to that, all steps have been tried.
    pub fn crash_at(seed: u64, doing: Doing, steps: u32) -> Result<Option<Played>, Box<Failure>> {
        let mut world = World::new(seed);
        if doing == Doing::OwnerStops {
            world.promote(0);
        }
        let (mut world, holder) = world.comes_to_rest(seed)?;
        let other = (0..world.nodes.len()).find(|n| *n != holder).unwrap_or(0);
        let down = world.down();
        let n = match doing {
            Doing::TakesOver => {
                world.stop(holder);
                other
            }
            Doing::GivesWay => {
                // Somebody else leads for a while.
                world.flip(holder, 0);
                world.run(3 * down);
                let leads = (0..world.nodes.len()).find(|n| world.state(*n, 0) == Some(State::Master));
                world.flip(holder, 0);
                leads.unwrap_or(other)
            }
            Doing::Resumes => {
                world.child_ends(holder, false);
                world.run(Duration::from_millis(1));
                holder
            }
            _ => holder,
        };
        world.lossy = true;
        world.disturbed = world.now;
        world.arm(n, steps);
        match doing {
            Doing::Stops | Doing::OwnerStops => world.stop(n),
            Doing::LosesItsLink => world.flip(n, 0),
            Doing::Reloads => world.reload(n),
            _ => {}
        }
        let deaths = world.deaths;
        // Long enough for what it does, and not for its next heartbeats.
        world.run(down + Duration::from_millis(50));
        let died = world.deaths > deaths;
        world.recover();
        world.quiet().map_err(|what| world.failure(seed, format!("{doing:?}, step {steps}: {what}")))?;
        let played = Played { adverts: world.adverts, deaths: world.deaths, lasted: world.now.since(Time::ZERO) };
        Ok(died.then_some(played))
    }

    /// S6: an hour, or 36,000 intervals where that is less, with one packet in a hundred lost. How often somebody became master, and
    /// how many packets there were.
    pub fn lossy_hour(seed: u64) -> Result<(u64, u64), Box<Failure>> {
        let (mut world, _) = World::at_rest(seed)?;
        let (before, sent) = (world.accessions, world.adverts);
        world.loss_ppm = 10_000;
        world.lossy = true;
        let interval = world.interval();
        world.run((interval * 36_000).min(Duration::from_secs(3600)));
        Ok((world.accessions - before, (world.adverts - sent) * world.nodes.len() as u64))
    }
}
