//! Joint computations among three workers, each of which sees nothing but noise and the result.
//!
//! A [`Worker`] is one of the three in one attempt, without I/O, clock or session. It holds two of
//! three shares of each input ([`crate::sharing`]), and runs freely: a message of a round may come
//! before it is due, and waits.
//!
//! | computation | rounds before the opening | bits from each worker |
//! |---|---|---|
//! | sum | 0 | 0 |
//! | product of three matrices | 2 | 256 for each value of each product |
//! | greater | 8 | 382 for each place |
//! | max | 9 | 1,149 for each place |
//!
//! In a round each worker sends one message to the one before it (modulo 3). In the last, the
//! opening, each sends each other the share that it lacks: two copies, which have to agree. One
//! worker that keeps to the protocol and looks at everything learns the result alone; one that
//! does not can spoil the result, and by that read more than the result out of what is opened: a
//! large known term in its part of a product brings another factor along (SECURITY.md).

mod arithmetic;
mod comparison;
mod gate;
mod opened;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use num_bigint::BigInt;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use self::arithmetic::{Product, Sum};
use self::comparison::Comparison;
use self::gate::Form;
use crate::computation::{Operation, Reveal, Shape, ShapeError};
use crate::job::ReasonCode;
use crate::sharing::{Input, Pair, Ring, Seeds, WORKERS};

pub use opened::Opened;

/// Why an attempt cannot go on. Never carries a number of the computation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There are three workers.
    #[error("worker {worker} is outside 0..{WORKERS}")]
    Worker {
        /// Which was named.
        worker: usize,
    },
    /// Shares of another worker, or for another kind of computation.
    #[error("input of P{participant}: it is not shared for this worker and {operation}")]
    Input {
        /// Whose place.
        participant: usize,
        /// The computation's name.
        operation: &'static str,
    },
    /// Inputs that do not fit each other.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A computation starts once.
    #[error("the computation has started already")]
    Started,
    /// A message that no version of the protocol sends.
    #[error("worker {from} sent something in round {round} that does not belong there: {rule}")]
    Message {
        /// Which worker.
        from: usize,
        /// The round that it names.
        round: u32,
        /// What must hold.
        rule: &'static str,
    },
    /// The two others disagree about the result.
    #[error("the result: the other workers' copies of a share differ")]
    Opening,
}

impl Error {
    /// The reason's code in the report.
    pub fn code(&self) -> ReasonCode {
        match self {
            Error::Worker { .. } | Error::Started => ReasonCode::Internal,
            Error::Input { .. } | Error::Shape(_) => ReasonCode::RequestRefused,
            Error::Message { .. } => ReasonCode::Protocol,
            Error::Opening => ReasonCode::AggIntegrity,
        }
    }
}

/// How many rounds a computation takes, the opening included. They count from 1.
pub fn rounds(operation: Operation) -> u32 {
    match operation {
        Operation::Addition => 1,
        Operation::Multiplication => 3,
        Operation::Comparison(Reveal::Greater) => 9,
        Operation::Comparison(Reveal::Max) => 10,
    }
}

/// What one worker tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The worker it is for, 0 to 2.
    pub to: usize,
    /// The round it belongs to, from 1.
    pub round: u32,
    /// Its content, which only that worker may see.
    pub body: Vec<u8>,
}

/// What differs between the computations.
trait Program: Send {
    /// What is sent in each round, the opening last.
    fn forms(&self) -> Vec<Form>;
    /// Takes what the next worker sent in the round before (none before the first) and returns what
    /// the previous one gets in this round; `None` when all is multiplied.
    fn step(
        &mut self,
        seeds: &Seeds,
        gate: u64,
        received: Option<&[u8]>,
    ) -> Option<Zeroizing<Vec<u8>>>;
    /// This worker's two shares of the result.
    fn shares(&self) -> [Zeroizing<Vec<u8>>; 2];
    /// The result, given its third share.
    fn open(&self, missing: &[u8]) -> Vec<BigInt>;
    /// Decimals of the result after the point.
    fn scale(&self) -> u32;
}

/// One of the three workers in one attempt. All shares are wiped when they are not needed any more.
pub struct Worker {
    index: usize,
    seeds: Seeds,
    /// None once the result is open, or will never be.
    program: Option<Box<dyn Program>>,
    shape: Shape,
    forms: Vec<Form>,
    /// The round whose messages are sent; 0 before the start.
    round: u32,
    /// By round and sender: one message each at most, so the computation bounds them.
    received: BTreeMap<(u32, usize), Received>,
    opened: Option<Opened>,
}

/// A message that came.
struct Received {
    digest: [u8; 32],
    /// Until its round.
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Worker {
    /// Worker `index` (0 to 2), with its shares of the inputs in the order of participants. Seeds
    /// are used for one worker of one attempt.
    ///
    /// # Errors
    /// `index` is no worker, an input is not this worker's or not shared for this operation, or
    /// shapes don't fit.
    pub fn new(
        index: usize,
        operation: Operation,
        inputs: [Input; 3],
        seeds: Seeds,
    ) -> Result<Worker, Error> {
        if index >= WORKERS {
            return Err(Error::Worker { worker: index });
        }
        let unfit = |input: &Input| input.worker() != index || input.domain() != operation.domain();
        let refused = |participant| Error::Input {
            participant,
            operation: operation.name(),
        };
        if let Some(participant) = inputs.iter().position(unfit) {
            return Err(refused(participant));
        }
        let shapes = inputs.each_ref().map(|input| Shape {
            rows: input.rows(),
            columns: input.columns(),
        });
        let shape = operation.result(shapes)?;
        let program: Box<dyn Program> = match operation {
            Operation::Addition => Box::new(Sum::new(shares(inputs).ok_or(refused(0))?)),
            Operation::Multiplication => {
                Box::new(Product::new(shapes, shares(inputs).ok_or(refused(0))?))
            }
            Operation::Comparison(reveal) => {
                let inputs = shares(inputs).ok_or(refused(0))?;
                Box::new(Comparison::new(index, reveal, inputs))
            }
        };
        Ok(Worker {
            index,
            seeds,
            forms: program.forms(),
            program: Some(program),
            shape,
            round: 0,
            received: BTreeMap::new(),
            opened: None,
        })
    }

    /// The first messages.
    ///
    /// # Errors
    /// It has started before; else as [`Worker::receive`], of a message that came before.
    pub fn start(&mut self) -> Result<Vec<Message>, Error> {
        if self.round > 0 {
            return Err(Error::Started);
        }
        let mut messages = self.step(None);
        messages.extend(self.advance()?);
        Ok(messages)
    }

    /// Takes a message, in any order, and returns what is to be sent now. One that came before is
    /// passed over.
    ///
    /// # Errors
    /// It is not what that worker sends in that round, or differs from what it sent before; or the
    /// copies of the opening differ, after which there is no result.
    pub fn receive(&mut self, from: usize, round: u32, body: &[u8]) -> Result<Vec<Message>, Error> {
        let wrong = |rule| Err(Error::Message { from, round, rule });
        if from >= WORKERS || from == self.index {
            return wrong("it has to come from one of the other two");
        }
        let form = (round as usize).checked_sub(1);
        let Some(form) = form.and_then(|at| self.forms.get(at)) else {
            return wrong("the computation has no such round");
        };
        if round < self.last() && from != self.next() {
            return wrong("only the next worker sends its part before the opening");
        }
        if !form.fits(body) {
            return wrong("its length follows from the shapes, and unused bits are zero");
        }
        let digest = Sha256::digest(body).into();
        match self.received.get(&(round, from)) {
            Some(before) if before.digest == digest => return Ok(Vec::new()),
            Some(_) => return wrong("it has to be what was sent before"),
            None => {}
        }
        let body = Some(Zeroizing::new(body.to_vec()));
        self.received
            .insert((round, from), Received { digest, body });
        self.advance()
    }

    /// The result, once it is open.
    pub fn result(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    fn last(&self) -> u32 {
        self.forms.len() as u32
    }

    fn next(&self) -> usize {
        (self.index + 1) % WORKERS
    }

    fn previous(&self) -> usize {
        (self.index + 2) % WORKERS
    }

    /// Goes on as far as messages are there.
    fn advance(&mut self) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        while (1..self.last()).contains(&self.round) {
            let due = self.received.get_mut(&(self.round, self.next()));
            let Some(body) = due.and_then(|received| received.body.take()) else {
                return Ok(messages);
            };
            messages.extend(self.step(Some(&body)));
        }
        if self.round == self.last() {
            self.open()?;
        }
        Ok(messages)
    }

    /// Enters the next round.
    fn step(&mut self, received: Option<&[u8]>) -> Vec<Message> {
        self.round += 1;
        let (round, next, previous) = (self.round, self.next(), self.previous());
        let message = |to, body: Zeroizing<Vec<u8>>| Message {
            to,
            round,
            body: body.to_vec(),
        };
        let Some(program) = &mut self.program else {
            return Vec::new();
        };
        match program.step(&self.seeds, u64::from(round), received) {
            Some(part) => vec![message(previous, part)],
            None => {
                // The next worker has shares i + 1 and i + 2, the previous one i - 1 and i.
                let [own, following] = program.shares();
                vec![message(next, own), message(previous, following)]
            }
        }
    }

    /// Opens the result if both copies of the missing share are there.
    fn open(&mut self) -> Result<(), Error> {
        let of = |from| self.received.get(&(self.round, from))?.body.as_ref();
        let (Some(one), Some(other)) = (of(self.next()), of(self.previous())) else {
            return Ok(());
        };
        if let Some(program) = self.program.take() {
            if one != other {
                return Err(Error::Opening);
            }
            let opened = Opened::new(self.shape, &program.open(one), program.scale());
            self.opened = Some(opened);
        }
        Ok(())
    }
}

/// All inputs' shares, if they are of this ring.
fn shares<R: Ring>(inputs: [Input; 3]) -> Option<[Pair<R>; 3]> {
    let [first, second, third] = inputs.map(Input::shares);
    Some([first?, second?, third?])
}
