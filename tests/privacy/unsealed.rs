//! A training whose parties talk in the open: what each step would say, were it neither protected
//! nor sealed.

use std::collections::{BTreeMap, VecDeque};

use rand::SeedableRng;
use rand::rngs::StdRng;
use shared::federated::round::{Guest, Host};
use shared::federated::secure_sum::{Agreement, Contributor, Opener, Protector};
use shared::federated::{Output, Participant, answer, guide};
use shared::id::PartyId;
use shared::job::TrainSpec;
use shared::mask::{MaskSecret, PairSecrets, TagKey};
use shared::policy::Train;
use shared::table::Table;

/// Every step of the training, as bytes that are neither encrypted nor sealed.
pub(super) fn steps(spec: &TrainSpec, tables: BTreeMap<u64, Table>) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(1);
    let guest = spec.parties.guest;
    let mut all = participants(&mut rng, spec, tables);
    let mut steps = Vec::new();
    let mut under_way = VecDeque::new();
    let mut is_over = false;
    let mut take = |under_way: &mut VecDeque<_>, from: PartyId, outputs: Vec<Output>| {
        for output in outputs {
            match output {
                Output::Send {
                    to, round, step, ..
                } => {
                    steps.push(step.clone());
                    under_way.push_back((from, to, round, step));
                }
                Output::Finished { .. } => is_over = true,
                Output::RoundFinished { .. } => {}
            }
        }
        is_over
    };
    let first = all.get_mut(&guest).expect("it leads").start(&mut rng);
    let mut over = take(&mut under_way, guest, first.expect("sound rows"));
    while !over {
        if let Some((from, to, round, step)) = under_way.pop_front() {
            let reader = all.get_mut(&to).expect("a party");
            let said = reader.receive(&mut rng, from, round, &step);
            over = take(&mut under_way, to, said.expect("sound rows"));
            continue;
        }
        let said = all.get_mut(&guest).expect("it leads").idle(&mut rng);
        let said = said.expect("sound rows").expect("it owes its own part");
        over = take(&mut under_way, guest, said);
    }
    steps
}

fn participants(
    rng: &mut StdRng,
    spec: &TrainSpec,
    mut tables: BTreeMap<u64, Table>,
) -> BTreeMap<PartyId, Box<dyn Participant>> {
    let (guest, hosts) = (spec.parties.guest, spec.parties.hosts.clone());
    let parties = spec.parties.ascending();
    let secrets: BTreeMap<PartyId, MaskSecret> = parties
        .iter()
        .map(|party| (*party, MaskSecret::generate(rng)))
        .collect();
    let setup_hash = [7; 32];
    let participant = |party: &PartyId| -> (PartyId, Box<dyn Participant>) {
        let others = secrets.iter().filter(|(other, _)| *other != party);
        let others: Vec<_> = others
            .map(|(party, secret)| (*party, secret.public()))
            .collect();
        let pairs = PairSecrets::agree(*party, &secrets[party], &others, &setup_hash);
        let agreement = Agreement {
            setup_hash,
            pairs: pairs.expect("sound keys"),
            tag_key: TagKey::from_bytes([9; 32]),
        };
        let contributor = Contributor::new(agreement, Protector::None);
        let answer = answer(
            spec,
            tables.remove(&party.0).expect("it has rows"),
            &Train::default(),
        );
        if *party != guest {
            return (*party, Box::new(Host::new(guest, contributor, answer)));
        }
        let opener = Opener::new(parties.len(), None);
        let guide = guide(spec, None).expect("a new training");
        let guest = Guest::new(guest, hosts.clone(), contributor, opener, guide, answer);
        (*party, Box::new(guest))
    };
    parties.iter().map(participant).collect()
}
