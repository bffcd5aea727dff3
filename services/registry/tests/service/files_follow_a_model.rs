//! Whatever is asked in whatever order, the service answers as a model of a few lines: who holds which ID number, which file
//! stands for which, and who is erased. And whatever it has answered, it answers so again, however late, and does nothing twice.

use std::{collections::BTreeSet, mem};

use proptest::{
    collection::vec,
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use proto::eldercare::{registry::v1 as pb, r#type::v1::ElderStatus};
use service::testing::reason;
use tonic::{Code, Status};

use crate::support::{Client, Running, TODAY, another, date, request_id};

/// How many ID numbers a sequence of steps has.
const NUMBERS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum What {
    Register,
    Correct,
    MoveOut,
    Die,
    Reinstate,
    Merge,
    Unmerge,
    Erase,
}

/// What is done, and places from which files and numbers follow once it is known how many there are.
type Drawn = (What, usize, usize);

fn drawn() -> impl Strategy<Value = Drawn> {
    let what = prop_oneof![
        6 => Just(What::Register),
        3 => Just(What::Correct),
        3 => Just(What::MoveOut),
        1 => Just(What::Die),
        3 => Just(What::Reinstate),
        6 => Just(What::Merge),
        4 => Just(What::Unmerge),
        1 => Just(What::Erase),
    ];
    (what, 0..60_usize, 0..60_usize)
}

/// What is asked: of files by the order in which they were opened, and of numbers by their place.
#[derive(Clone, Copy, Debug)]
enum Step {
    Register { number: usize },
    Correct { file: usize, number: usize },
    MoveOut { file: usize },
    Die { file: usize },
    Reinstate { file: usize },
    Merge { surviving: usize, merged: usize },
    Unmerge { surviving: usize, merged: usize },
    Erase { file: usize },
}

/// A file as the model has it.
#[derive(Debug)]
struct File {
    id: String,
    number: usize,
    status: ElderStatus,
    merged_into: Option<usize>,
    erased: bool,
}

#[derive(Debug, Default)]
struct Model {
    files: Vec<File>,
    /// The surviving file and the merged one.
    pairs: BTreeSet<(usize, usize)>,
}

/// Whether something changes, or why nothing may.
type Outcome = Result<bool, &'static str>;

impl Model {
    fn step(&self, (what, one, other): Drawn) -> Option<Step> {
        let (files, number) = (self.files.len(), other % NUMBERS);
        if matches!(what, What::Register) {
            return Some(Step::Register { number });
        }
        let file = one.checked_rem(files)?;
        let other = other % files;
        match what {
            What::Register => None,
            What::Correct => Some(Step::Correct { file, number }),
            What::MoveOut => Some(Step::MoveOut { file }),
            What::Die => Some(Step::Die { file }),
            What::Reinstate => Some(Step::Reinstate { file }),
            What::Merge => (file != other).then_some(Step::Merge {
                surviving: file,
                merged: other,
            }),
            What::Unmerge => {
                let surviving = self.files[file].merged_into.unwrap_or(other);
                (file != surviving).then_some(Step::Unmerge {
                    surviving,
                    merged: file,
                })
            }
            What::Erase => Some(Step::Erase { file }),
        }
    }

    fn take(&mut self, step: Step) -> Outcome {
        match step {
            Step::Register { number } => {
                if self.holder(number).is_some() {
                    return Err("ID_NUMBER_REGISTERED");
                }
                self.files.push(File {
                    id: String::new(),
                    number,
                    status: ElderStatus::Active,
                    merged_into: None,
                    erased: false,
                });
                Ok(true)
            }
            Step::Correct { file, number } => {
                let file = self.open(file)?;
                if self.holder(number).is_some_and(|holder| holder != file) {
                    return Err("ID_NUMBER_REGISTERED");
                }
                Ok(mem::replace(&mut self.files[file].number, number) != number)
            }
            Step::MoveOut { file } => {
                let file = self.open(file)?;
                if self.files[file].status == ElderStatus::Deceased {
                    return Err("ELDER_DECEASED");
                }
                Ok(self.stands_as(file, ElderStatus::MovedOut))
            }
            Step::Die { file } => {
                let file = self.open(file)?;
                Ok(self.stands_as(file, ElderStatus::Deceased))
            }
            Step::Reinstate { file } => {
                let file = self.open(file)?;
                if self.files[file].status == ElderStatus::Active {
                    return Err("NOT_CLOSED");
                }
                Ok(self.stands_as(file, ElderStatus::Active))
            }
            Step::Merge { surviving, merged } => self.merge(surviving, merged),
            Step::Unmerge { surviving, merged } => {
                self.both_there(surviving, merged)?;
                if !self.pairs.remove(&(surviving, merged)) {
                    return Err("NOT_MERGED");
                }
                self.files[merged].merged_into = None;
                Ok(true)
            }
            Step::Erase { file } => {
                let Ok(file) = self.open(file) else {
                    return Ok(false);
                };
                self.erase(file);
                Ok(true)
            }
        }
    }

    fn merge(&mut self, surviving: usize, merged: usize) -> Outcome {
        self.both_there(surviving, merged)?;
        if self.pairs.contains(&(surviving, merged)) {
            return Ok(false);
        }
        if self.pairs.contains(&(merged, surviving)) {
            return Err("ALREADY_MERGED");
        }
        let led = |file: usize| self.files[file].merged_into.is_some();
        if led(surviving) || led(merged) {
            return Err("ELDER_MERGED");
        }
        self.pairs.insert((surviving, merged));
        self.files[merged].merged_into = Some(surviving);
        Ok(true)
    }

    /// With a file those go that it stands for.
    fn erase(&mut self, file: usize) {
        self.files[file].erased = true;
        self.files[file].merged_into = None;
        for other in 0..self.files.len() {
            if self.files[other].merged_into == Some(file) {
                self.erase(other);
            }
        }
    }

    fn stands_as(&mut self, file: usize, status: ElderStatus) -> bool {
        mem::replace(&mut self.files[file].status, status) != status
    }

    /// The file that stands for this one.
    fn standing(&self, file: usize) -> usize {
        let mut file = file;
        while let Some(surviving) = self.files[file].merged_into {
            file = surviving;
        }
        file
    }

    fn open(&self, file: usize) -> Result<usize, &'static str> {
        let file = self.standing(file);
        if self.files[file].erased {
            Err("ELDER_ERASED")
        } else {
            Ok(file)
        }
    }

    fn both_there(&self, one: usize, other: usize) -> Result<(), &'static str> {
        if self.files[one].erased || self.files[other].erased {
            Err("ELDER_ERASED")
        } else {
            Ok(())
        }
    }

    fn holder(&self, number: usize) -> Option<usize> {
        let mut files = self.files.iter();
        files.position(|file| !file.erased && file.number == number)
    }

    /// Whether a step was about somebody who is erased by now.
    fn is_about_an_erased(&self, step: Step) -> bool {
        let erased = |file: usize| self.files[file].erased;
        match step {
            Step::Register { .. } => false,
            Step::Correct { file, .. }
            | Step::MoveOut { file }
            | Step::Die { file }
            | Step::Reinstate { file }
            | Step::Erase { file } => erased(file),
            Step::Merge { surviving, merged } | Step::Unmerge { surviving, merged } => {
                erased(surviving) || erased(merged)
            }
        }
    }
}

/// A request of a step.
#[derive(Clone)]
enum Asked {
    Register(Box<pb::RegisterElderRequest>),
    Correct(pb::CorrectIdentityRequest),
    MoveOut(pb::RecordMoveOutRequest),
    Die(pb::RecordDeathRequest),
    Reinstate(pb::ReinstateElderRequest),
    Merge(pb::MergeEldersRequest),
    Unmerge(pb::UnmergeEldersRequest),
    Erase(pb::EraseElderRequest),
}

impl Asked {
    async fn of(self, client: &mut Client) -> Result<pb::Committed, Status> {
        let committed = match self {
            Self::Register(ask) => client.register_elder(*ask).await?.into_inner().committed,
            Self::Correct(ask) => client.correct_identity(ask).await?.into_inner().committed,
            Self::MoveOut(ask) => client.record_move_out(ask).await?.into_inner().committed,
            Self::Die(ask) => client.record_death(ask).await?.into_inner().committed,
            Self::Reinstate(ask) => client.reinstate_elder(ask).await?.into_inner().committed,
            Self::Merge(ask) => client.merge_elders(ask).await?.into_inner().committed,
            Self::Unmerge(ask) => client.unmerge_elders(ask).await?.into_inner().committed,
            Self::Erase(ask) => client.erase_elder(ask).await?.into_inner().committed,
        };
        Ok(committed.unwrap())
    }
}

/// The persons of a sequence of steps, by the places of their numbers.
struct Persons {
    first: u32,
}

impl Persons {
    fn person(&self, number: usize) -> pb::RegisterElderRequest {
        another(self.first + u32::try_from(number).unwrap())
    }

    fn request(&self, model: &Model, step: Step) -> Asked {
        let (request_id, reason) = (request_id(), "AS_DRAWN".to_owned());
        let id = |file: usize| model.files[file].id.clone();
        match step {
            Step::Register { number } => Asked::Register(Box::new(self.person(number))),
            Step::Correct { file, number } => Asked::Correct(pb::CorrectIdentityRequest {
                request_id,
                elder_id: id(file),
                id_number: self.person(number).id_number,
                reason,
                ..pb::CorrectIdentityRequest::default()
            }),
            Step::MoveOut { file } => Asked::MoveOut(pb::RecordMoveOutRequest {
                request_id,
                elder_id: id(file),
                ..pb::RecordMoveOutRequest::default()
            }),
            Step::Die { file } => Asked::Die(pb::RecordDeathRequest {
                request_id,
                elder_id: id(file),
                on: date(TODAY),
                ..pb::RecordDeathRequest::default()
            }),
            Step::Reinstate { file } => Asked::Reinstate(pb::ReinstateElderRequest {
                request_id,
                elder_id: id(file),
                reason,
                ..pb::ReinstateElderRequest::default()
            }),
            Step::Merge { surviving, merged } => Asked::Merge(pb::MergeEldersRequest {
                request_id,
                surviving_elder_id: id(surviving),
                merged_elder_id: id(merged),
                reason,
            }),
            Step::Unmerge { surviving, merged } => Asked::Unmerge(pb::UnmergeEldersRequest {
                request_id,
                surviving_elder_id: id(surviving),
                merged_elder_id: id(merged),
                reason,
            }),
            Step::Erase { file } => Asked::Erase(pb::EraseElderRequest {
                request_id,
                elder_id: id(file),
                reason,
                ..pb::EraseElderRequest::default()
            }),
        }
    }

    /// Of each file and each number the service tells what the model says.
    async fn compare(&self, client: &mut Client, model: &Model, min_position: &str) {
        for (place, file) in model.files.iter().enumerate() {
            let asked = pb::GetElderRequest {
                elder_id: file.id.clone(),
                min_position: min_position.to_owned(),
                ..pb::GetElderRequest::default()
            };
            let told = client.get_elder(asked).await;
            if file.erased {
                assert_eq!(told.unwrap_err().code(), Code::NotFound);
                continue;
            }
            let elder = told.unwrap().into_inner().elder.unwrap();
            let standing = &model.files[model.standing(place)];
            assert_eq!(elder.elder_id, standing.id);
            assert_eq!(elder.status(), standing.status);
            assert_eq!(elder.id_number, self.person(standing.number).id_number);
        }
        for number in 0..NUMBERS {
            let asked = pb::SearchEldersRequest {
                id_number: self.person(number).id_number,
                ..pb::SearchEldersRequest::default()
            };
            let told = client.search_elders(asked).await.unwrap().into_inner();
            let found = told.elders.iter().map(|elder| elder.elder_id.as_str());
            let holder = model.holder(number).map(|holder| model.standing(holder));
            let holder = holder.map(|holder| model.files[holder].id.as_str());
            assert_eq!(found.collect::<Vec<_>>(), Vec::from_iter(holder));
        }
    }
}

async fn play(running: &Running, persons: &Persons, steps: Vec<Drawn>) {
    let (mut client, mut model) = (running.client(), Model::default());
    let (mut taken, mut answered) = (Vec::new(), Vec::new());
    for drawn in steps {
        let Some(step) = model.step(drawn) else {
            continue;
        };
        taken.push(step);
        let asked = persons.request(&model, step);
        let expected = model.take(step).map_err(str::to_owned);
        let told = asked.clone().of(&mut client).await;
        let outcome = told.as_ref().map(|committed| committed.changed);
        assert_eq!(outcome.map_err(reason), expected, "the last of {taken:?}");
        let Ok(committed) = told else { continue };
        if matches!(step, Step::Register { .. }) {
            model.files.last_mut().unwrap().id = committed.elder_id.clone();
        }
        let position = committed.position.clone();
        persons.compare(&mut client, &model, &position).await;
        if committed.changed {
            answered.push((step, asked, committed));
        }
    }

    let last = running.log.last_sequence().await.unwrap();
    for (step, asked, first) in answered {
        match asked.of(&mut client).await {
            Ok(again) => {
                let same = again == first || model.is_about_an_erased(step);
                assert!(same, "{step:?} of {taken:?}: {again:?}, not {first:?}");
            }
            Err(status) => {
                assert!(model.is_about_an_erased(step), "{step:?} of {taken:?}");
                assert_eq!(reason(&status), "ELDER_ERASED");
            }
        }
    }
    let written = running.log.last_sequence().await.unwrap() - last;
    assert_eq!(written, 0, "nothing of {taken:?} is done twice");
    persons.compare(&mut client, &model, "").await;
}

#[tokio::test]
async fn files_and_numbers_are_what_a_model_says_and_nothing_is_done_twice() {
    let running = Running::new().await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for first in [10, 20] {
        let steps = vec(drawn(), 45).new_tree(&mut runner).unwrap().current();
        play(&running, &Persons { first }, steps).await;
    }
    running.verify().await;
}
