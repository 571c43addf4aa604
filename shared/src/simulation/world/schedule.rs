//! What happens next in a world: one thing at a time, chosen at random.

use rand::RngExt;

use super::{Faults, Wire, World};

/// Steps within which a job must end.
const STEPS_MAX: u32 = 20_000;

impl World {
    /// Runs until the job has ended and every session is closed.
    pub(in crate::simulation) fn run(&mut self) -> Result<(), String> {
        self.run_until(|world| {
            world.row.status.is_terminal()
                && world
                    .processes
                    .iter()
                    .all(|process| process.sessions.is_empty())
        })
    }

    /// Runs until something is so.
    pub(in crate::simulation) fn run_until(
        &mut self,
        done: impl Fn(&World) -> bool,
    ) -> Result<(), String> {
        while !done(self) {
            if self.steps >= STEPS_MAX {
                return Err(format!(
                    "not done after {STEPS_MAX} steps: {:?}",
                    self.row.status
                ));
            }
            self.step();
        }
        Ok(())
    }

    /// Does one thing, and looks at what left for it.
    pub(in crate::simulation) fn step(&mut self) {
        self.steps += 1;
        self.happen();
        let guest = self.federation.guest();
        for wire in self.wires.iter().skip(self.seen) {
            self.answers.left(wire, guest);
            if let Some(tap) = &mut self.tap {
                tap.push(wire.clone());
            }
        }
        self.seen = self.wires.len();
    }

    /// Listens to everything that leaves from now on.
    pub(in crate::simulation) fn tap(&mut self) {
        self.tap = Some(Vec::new());
    }

    /// What left since this was asked last.
    pub(in crate::simulation) fn tapped(&mut self) -> Vec<Wire> {
        self.tap.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes a message that is under way.
    pub(in crate::simulation) fn seize(&mut self, index: usize) -> Wire {
        self.seen = self.seen.saturating_sub(1);
        self.wires.remove(index)
    }

    /// Puts a message under way that no party sent just now.
    pub(in crate::simulation) fn inject(&mut self, wire: Wire) {
        self.wires.push(wire);
        self.seen = self.wires.len();
    }

    /// One thing, chosen at random.
    fn happen(&mut self) {
        let faults = if self.steps < self.faults.steps {
            self.faults
        } else {
            Faults::default()
        };
        if self.deaths < faults.deaths_max {
            if self.rng.random_bool(faults.crash) {
                self.deaths += 1;
                let index = self.rng.random_range(0..self.processes.len());
                return self.crash(index);
            }
            if self.rng.random_bool(faults.forget) {
                self.deaths += 1;
                let index = self.rng.random_range(0..self.processes.len());
                self.processes[index].sessions.pop_first();
                return;
            }
        }
        let work = self.rng.random_bool(0.3) && self.idle();
        if work {
            return;
        }
        if self.wires.is_empty() || self.rng.random_bool(0.06) {
            if !self.idle() || self.rng.random_bool(0.1) {
                self.tick();
            }
            return;
        }
        // Mostly in order, sometimes any: delay and reordering.
        let ordered = self.rng.random_bool(0.6);
        let index = if ordered {
            0
        } else {
            self.rng.random_range(0..self.wires.len())
        };
        let wire = self.seize(index);
        if self.rng.random_bool(faults.loss) {
            return;
        }
        if self.rng.random_bool(faults.repeat) {
            self.inject(wire.clone());
        }
        self.deliver(wire);
    }

    /// Lets some session do a piece of work that was put off.
    fn idle(&mut self) -> bool {
        for index in 0..self.processes.len() {
            let fences: Vec<_> = self.processes[index].sessions.keys().copied().collect();
            for key in fences {
                let (rng, now) = (&mut self.rng, self.now);
                let session = self.processes[index].sessions.get_mut(&key).unwrap();
                if let Some(effects) = session.idle(rng, now) {
                    self.answers.computed(self.processes[index].seat.party, key);
                    self.act(index, key, effects);
                    return true;
                }
            }
        }
        false
    }
}
